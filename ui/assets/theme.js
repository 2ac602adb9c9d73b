// Light, dark, or as the system is.

import { keep, kept } from "./preferences.js";

const KEY = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export const THEMES = ["system", "light", "dark"];

let chosen = THEMES.includes(kept(KEY)) ? kept(KEY) : "system";

/** What was chosen; "system" at first. */
export const chosenTheme = () => chosen;

/** Choose one of `THEMES`, for this browser. */
export function chooseTheme(theme) {
  chosen = theme;
  keep(KEY, theme);
  apply();
}

/** Keep to the choice: Gradio follows the system and sets `.dark` on the body by itself. */
export function keepTheme() {
  apply();
  system.addEventListener("change", apply);
  new MutationObserver(apply).observe(document.body, { attributeFilter: ["class"] });
}

function apply() {
  const dark = chosen === "dark" || (chosen === "system" && system.matches);
  if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
}
