// The page's name and what it is for; language and colours.

import { h } from "./dom.js";
import { nameTabs, openAskedTab } from "./tabs.js";
import { changeLanguage, language, LANGUAGES, t } from "./texts.js";
import { chooseTheme, chosenTheme, keepTheme, THEMES } from "./theme.js";

/** Fill the header, name the tabs below it, and open the one that the address asks for. */
export function mount(element) {
  keepTheme();
  element.append(
    h("a", { class: "skip", href: "#analyse_panel", onclick: skip }, t("skip")),
    h("div", { class: "masthead" },
      h("div", {}, h("h1", {}, t("title")), h("p", { class: "lead" }, t("header.lead"))),
      h("div", { class: "switches" },
        choice(t("switch.language"), LANGUAGES, language, changeLanguage),
        choice(t("switch.theme"), Object.fromEntries(THEMES.map((theme) => [theme, t(`theme.${theme}`)])), chosenTheme(), chooseTheme))),
    h("p", { class: "disclaimer", role: "note" }, t("disclaimer")));
  nameTabs();
  openAskedTab();
}

function choice(name, options, chosen, choose) {
  const select = h("select", { "aria-label": name },
    Object.entries(options).map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  select.addEventListener("change", () => choose(select.value));
  return select;
}

/** The link's address would be under the page's base address, another one while there is a `?lang=`. */
function skip(event) {
  event.preventDefault();
  const panel = [...document.querySelectorAll("[role=tabpanel]")].find((each) => each.offsetParent !== null);
  panel.tabIndex = -1;
  panel.focus();
}
