// Light, dark, or as the system is.

const KEY = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export const THEMES = ["system", "light", "dark"];

/** What was chosen; "system" at first. */
export function chosenTheme() {
  const kept = localStorage.getItem(KEY);
  return THEMES.includes(kept) ? kept : "system";
}

/** Choose one of `THEMES`, for this browser. */
export function chooseTheme(theme) {
  localStorage.setItem(KEY, theme);
  apply();
}

/** Keep to the choice: Gradio follows the system and sets `.dark` on the body by itself. */
export function keepTheme() {
  apply();
  system.addEventListener("change", apply);
  new MutationObserver(apply).observe(document.body, { attributeFilter: ["class"] });
}

function apply() {
  const theme = chosenTheme();
  const dark = theme === "dark" || (theme === "system" && system.matches);
  if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
}
