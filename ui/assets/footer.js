import { h } from "./dom.js";
import { t } from "./texts.js";

/** What happens to files. */
export function mount(element) {
  element.append(h("p", {}, t("footer.privacy")));
}
