// Links that open the page on one of its tabs: `?tab=model` is where a report says that the card is.

import { tabOf } from "./tabs.js";

const TABS = ["model", "api"];

/** Open the tab that the address asks for, as soon as Gradio has drawn it. */
export function openAskedTab() {
  const asked = new URLSearchParams(location.search).get("tab");
  if (!TABS.includes(asked)) return;
  const open = () => {
    const tab = tabOf(asked);
    tab?.click();
    return Boolean(tab);
  };
  if (open()) return;
  new MutationObserver((_, observer) => open() && observer.disconnect()).observe(document.body, { childList: true, subtree: true });
}
