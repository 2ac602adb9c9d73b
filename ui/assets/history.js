// The answers of this session: in this tab's memory, nowhere else, and gone with it.

import { h } from "./dom.js";
import { percent, t } from "./texts.js";
import { verdict } from "./verdict.js";

const MOST = 12; // answers kept; the oldest makes room

/**
 * The list of answers. `show(entry)` opens one, `compare(a, b)` two; an entry holds `slice`, `model`,
 * `latency` and `file`.
 */
export function createHistory({ show, compare }) {
  let entries = [];
  let number = 0;
  const list = h("ul", { class: "past" });
  const button = h("button", { type: "button", class: "button", disabled: true }, t("history.compare"));
  const clear = h("button", { type: "button", class: "button" }, t("history.clear"));
  const element = h("section", { id: "history", "aria-labelledby": "history-title", hidden: true },
    h("h2", { id: "history-title" }, t("history.title")),
    h("p", { class: "quiet" }, t("history.gone")), list, h("div", { class: "ways" }, button, clear));

  const chosen = () => entries.filter((entry) => entry.tick.checked);
  const draw = () => {
    element.hidden = !entries.length;
    list.replaceChildren(...entries.map((entry) => entry.item));
    update();
  };
  const update = () => {
    const full = chosen().length >= 2;
    button.disabled = !full;
    for (const { tick } of entries) tick.disabled = full && !tick.checked;
  };
  button.addEventListener("click", () => compare(...chosen().sort((a, b) => a.number - b.number)));
  clear.addEventListener("click", () => {
    entries = [];
    draw();
    document.querySelector(".drop input").focus(); // the button is gone, and focus must be somewhere
  });

  return {
    element,
    /** Keep an answer. */
    add(answer) {
      const entry = { ...answer, number: ++number };
      const name = t("history.scan", { number });
      entry.tick = h("input", { type: "checkbox", "aria-label": t("history.choose", { name }), onchange: update });
      entry.item = h("li", {},
        h("button", { type: "button", class: "again", onclick: () => show(entry) },
          h("img", { src: entry.slice.picture, alt: "", width: 224, height: 224 }),
          h("span", { class: "what" }, h("span", { class: "quiet" }, name), " ", h("strong", {}, short(entry.slice.decision)))),
        h("label", { class: "tick" }, entry.tick, " ", h("span", { "aria-hidden": "true" }, t("history.tick"))));
      entries = [entry, ...entries].slice(0, MOST);
      draw();
    },
  };
}

function short(decision) {
  if (!decision) return t("history.empty");
  if (!decision.in_distribution) return t("history.refused");
  return `${verdict(decision)}, ${percent(decision.probability)}`;
}
