// What happens to files, and where programs ask.

import { h } from "./dom.js";
import { t } from "./texts.js";

/** Fill the footer. */
export function mount(element) {
  element.append(h("p", {}, t("footer.privacy"), " ", t("footer.programs"), " ", h("a", { href: "docs" }, t("footer.docs")), "."));
}
