import { h } from "./dom.js";
import { t } from "./texts.js";

/** The page's name and what it is for. */
export function mount(element) {
  element.append(h("h1", {}, t("title")), h("p", {}, t("header.lead")), h("p", { class: "disclaimer", role: "note" }, t("disclaimer")));
}
