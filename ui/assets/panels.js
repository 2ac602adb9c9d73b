// What stands in the answer's place while there is none.

import { h } from "./dom.js";
import { t } from "./texts.js";

/** Nothing chosen yet: what to expect. */
export const idlePanel = () =>
  h("div", { class: "panel idle" },
    h("h2", {}, t("idle.title")),
    h("p", {}, t("idle.text")),
    h("ul", {}, ["answer", "evidence", "refusal", "many"].map((each) => h("li", {}, t(`idle.${each}`)))));

/** A scan is on its way. `say` tells how far, in words. */
export function readingPanel() {
  const title = h("h2", {}, t("run.reading"));
  const stripe = h("div", { class: "stripe", "aria-hidden": "true" });
  return { element: h("div", { class: "panel busy" }, title, stripe), say: (text) => (title.textContent = text) };
}

/** Why there is no answer, and what to do. */
export const errorPanel = (message) =>
  h("div", { class: "panel error", role: "alert" }, h("h2", {}, t("error.title")), h("p", {}, message));
