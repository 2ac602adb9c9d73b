// Text for the clipboard.

import { h } from "./dom.js";
import { t } from "./texts.js";

/** Copy a text; what came of it, in words. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP there is no such clipboard; a selected field still has one.
    const focused = document.activeElement;
    const field = h("textarea", { class: "sr-only" });
    field.value = text;
    document.querySelector(".gradio-container").append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    focused?.focus({ preventScroll: true });
    if (!done) return t("copy.refused");
  }
  return t("copy.done");
}
