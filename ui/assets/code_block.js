// Code to take along, with a button that copies it.

import { h } from "./dom.js";
import { t } from "./texts.js";

/** A block of code; `name` says what the button copies to who does not see it. */
export function codeBlock(code, name) {
  const told = h("span", { class: "told", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code);
      told.textContent = t("api.copied");
    } catch {
      // No clipboard without HTTPS: the text is chosen, and the keyboard copies it.
      getSelection().selectAllChildren(block.querySelector("code"));
      told.textContent = t("api.chosen");
    }
  };
  const block = h("div", { class: "code" },
    h("pre", { tabindex: 0, role: "group", "aria-label": name }, h("code", {}, code)),
    h("p", { class: "copy" }, h("button", { type: "button", "aria-label": t("api.copy_what", { name }), onclick: copy }, t("api.copy")), told));
  return block;
}
