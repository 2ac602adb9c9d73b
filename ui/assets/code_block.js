// Code to take along, with a button that copies it.

import { copy } from "./clipboard.js";
import { h } from "./dom.js";
import { t } from "./texts.js";

/** A block of code; `name` says what the button copies to who does not see it. */
export function codeBlock(code, name) {
  const told = h("span", { class: "told", role: "status" });
  const onclick = async () => { told.textContent = await copy(code); };
  return h("div", { class: "code" },
    h("pre", { tabindex: 0, role: "group", "aria-label": name }, h("code", {}, code)),
    h("p", { class: "copy" }, h("button", { type: "button", "aria-label": t("api.copy_what", { name }), onclick }, t("api.copy")), told));
}
