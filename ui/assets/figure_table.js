// A table of figures that becomes a list of cards where the screen is narrow, so that it never scrolls sideways.

import { h } from "./dom.js";

/**
 * A table; each row's first cell is its heading.
 *
 * The roles are spelt out because a browser forgets them when the style lays the rows out anew.
 *
 * @param {{ caption: string, head: string[], rows: (string|Node|null)[][], kind?: string }} table
 */
export function figureTable({ caption, head, rows, kind = "" }) {
  const headings = head.map((text) => h("th", { scope: "col", role: "columnheader" }, text));
  const body = rows.map((cells) =>
    h("tr", { role: "row" },
      cells.map((cell, column) =>
        column === 0
          ? h("th", { scope: "row", role: "rowheader" }, cell)
          : h("td", { role: "cell", "data-label": head[column] }, h("div", {}, cell)))));
  return h("table", { class: `figures ${kind}`, role: "table" },
    h("caption", {}, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, headings)),
    h("tbody", { role: "rowgroup" }, body));
}

/** Something with a quiet line below it. */
export const twoLines = (first, second) => h("span", {}, first, second ? h("span", { class: "second" }, second) : null);
