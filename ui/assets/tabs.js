// Gradio's tabs: their names in the page's language, and the ways to open one.

import { t } from "./texts.js";

const NAMES = ["analyse", "model", "api"];

/** Name the tabs, and name them again whenever Gradio draws them anew, as when they no longer fit. */
export function nameTabs() {
  const name = () => {
    const bar = document.querySelector("#tabs .tab-wrapper"); // Gradio may draw it after the header
    bar?.querySelectorAll("[data-tab-id]").forEach((tab) => rename(tab, tab.dataset.tabId));
    // The copy that Gradio measures to see what fits.
    bar?.querySelectorAll("[aria-hidden] button").forEach((tab, at) => rename(tab, NAMES[at]));
    bar?.querySelector(".overflow-menu > button")?.setAttribute("aria-label", t("tab.more"));
    if (bar && watched !== bar) {
      watching.disconnect();
      watching.observe(bar, { childList: true, subtree: true });
      watched = bar;
    }
  };
  const watching = new MutationObserver(name);
  let watched = document.querySelector(".gradio-container");
  watching.observe(watched, { childList: true, subtree: true });
  name();
}

/** Open the tab that the address asks for, once Gradio has drawn it: a report links to the card by `?tab=model`. */
export function openAskedTab() {
  const asked = new URLSearchParams(location.search).get("tab");
  if (!NAMES.includes(asked)) return;
  const open = () => {
    const tab = tabOf(asked);
    tab?.click();
    return Boolean(tab);
  };
  if (open()) return;
  new MutationObserver((_, observer) => open() && observer.disconnect()).observe(document.body, { childList: true, subtree: true });
}

/** A tab's button; null until Gradio has drawn it. */
const tabOf = (name) => document.querySelector(`#tabs [role=tab][data-tab-id=${name}]`);

/** Open a tab as if it had been clicked. */
export function openTab(name) {
  tabOf(name)?.click();
  document.querySelector("#tabs").scrollIntoView();
}

function rename(tab, name) {
  const word = t(`tab.${name}`);
  // Gradio's own text node is kept: it belongs to its framework.
  const text = [...tab.childNodes].find((node) => node.nodeType === Node.TEXT_NODE);
  if (text && text.data !== word) text.data = word;
}
