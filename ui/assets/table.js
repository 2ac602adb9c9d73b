// The table of many scans: sortable by its heads, each row a way to the scan's detail. On a phone the rows
// are cards (many.css), hence the roles, which browsers drop from elements that are no longer table cells.

import { reason } from "./api.js";
import { h } from "./dom.js";
import { groupOf, isComplete, namesOf, sorted } from "./rows.js";
import { counted, highest } from "./slices.js";
import { number, percent, t } from "./texts.js";

const COLUMNS = ["scan", "probability", "risk", "decision", "notes"];
const SORTABLE = new Set(["scan", "probability", "risk", "decision"]);

/**
 * An empty table.
 *
 * @param {(row: import("./rows.js").Row) => void} onOpen a row with an answer is chosen
 * @returns {{ element: HTMLElement, show: Function, listed: Function }} `show(rows)` draws them, `listed()` gives
 *   them in the order shown
 */
export function createTable(onOpen) {
  const order = { column: "probability", descending: true };
  const body = h("tbody", { role: "rowgroup" });
  const drawn = new Map(); // row -> its line and what it was drawn from
  let shown = [];

  const heads = COLUMNS.map((column) => {
    const words = h("span", {}, t(`many.column.${column}`));
    if (!SORTABLE.has(column)) return h("th", { scope: "col", role: "columnheader" }, words);
    const button = h("button", { type: "button", onclick: () => sortBy(column) }, words);
    return h("th", { scope: "col", role: "columnheader", "data-column": column }, button);
  });

  const sortBy = (column) => {
    const same = order.column === column;
    order.descending = same ? !order.descending : column !== "scan"; // names from A, risks from the highest
    order.column = column;
    tellOrder();
    show(shown);
  };

  const tellOrder = () => {
    for (const head of heads) {
      if (head.dataset.column !== order.column) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
    }
  };

  const lineOf = (row) => {
    const old = drawn.get(row);
    if (old && old.answers === row.slices.length) return old.line;
    const line = drawLine(row, onOpen);
    if (old?.line.contains(document.activeElement)) {
      requestAnimationFrame(() => line.querySelector("button")?.focus());
    }
    drawn.set(row, { line, answers: row.slices.length });
    return line;
  };

  const show = (rows) => {
    shown = rows;
    const lines = sorted(rows, order).map(lineOf);
    const focused = body.contains(document.activeElement) ? document.activeElement : null;
    lines.forEach((line, place) => {
      if (body.children[place] !== line) body.insertBefore(line, body.children[place] ?? null);
    });
    while (body.children.length > lines.length) body.lastElementChild.remove();
    if (focused?.isConnected) focused.focus({ preventScroll: true }); // moving a line takes the focus away
  };

  tellOrder();
  const head = h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads));
  const caption = h("caption", { class: "sr-only" }, t("many.caption"));
  const element = h("table", { class: "scans", role: "table" }, caption, head, body);
  return { element, show, listed: () => sorted(shown, order) };
}

function drawLine(row, onOpen) {
  const group = groupOf(row);
  const top = highest(row.slices);
  const opens = row.slices.length > 0;
  const open = () => onOpen(row);
  const byMouse = (event) => event.target.closest("button") || getSelection().toString() || open();
  return h(
    "tr",
    { role: "row", class: `scan ${group}${opens ? " opens" : ""}`, onclick: opens ? byMouse : null },
    h(
      "th",
      { scope: "row", role: "rowheader", class: "name" },
      h("div", {}, thumbnail(row, top), h("div", { class: "names" }, nameOf(row, opens, open))),
    ),
    cell("probability", top && probabilityOf(top)),
    cell("band", h("span", { class: `pill ${group}` }, t(`many.group.${group}`))),
    cell("decision", decisionOf(row, top)),
    cell("notes", notesOf(row, top)),
  );
}

const cell = (kind, content) => h("td", { role: "cell", class: kind }, content || null);

function thumbnail(row, top) {
  const { picture } = top ?? row.slices.find((one) => !one.empty) ?? row.slices[0] ?? {};
  if (!picture) return h("span", { class: "thumbnail" });
  return h("img", { class: "thumbnail", src: picture, alt: "", width: 56, height: 56 });
}

function nameOf(row, opens, open) {
  const others = row.again.length - 1;
  const { name: own, within } = namesOf(row);
  const words = others > 0 ? t("many.and_more", { name: own, count: number(others) }) : own;
  const attributes = opens ? { type: "button", class: "open", onclick: open } : { class: "open" };
  const below = [within, row.study?.kind === "volume" ? volumeOf(row) : null].filter(Boolean);
  const name = h(opens ? "button" : "span", attributes, words);
  return [name, ...below.map((each) => h("span", { class: "member" }, each))];
}

function volumeOf({ study, slices }) {
  const plane = study.plane ? t(`volume.plane.${study.plane}`) : t("volume.plane.unknown");
  const places = { plane, count: number(study.length), answered: number(slices.length) };
  return t(slices.length < study.length ? "many.volume_partly" : "many.volume", places);
}

function probabilityOf({ decision: { probability } }) {
  const part = h("span", { style: `width:${(probability * 100).toFixed(1)}%` });
  return [
    h("span", { class: "figure" }, percent(probability)),
    h("span", { class: "bar", "aria-hidden": "true" }, part),
  ];
}

function decisionOf(row, top) {
  if (!top) return null;
  if (row.study.kind === "volume") {
    const { high, medium } = counted(row.slices);
    return t("many.slices_by_risk", { total: number(row.study.length), high: number(high), medium: number(medium) });
  }
  const { label, risk } = top.decision;
  return t(risk === "medium" ? `many.unsure.${label}` : `many.decision.${label}`);
}

function notesOf(row, top) {
  if (row.error) return reason(row.error);
  const isVolume = row.study.kind === "volume";
  if (!top && !isComplete(row)) return t("many.pending");
  if (!top) return t(isVolume ? "many.refused_volume" : "many.refused");
  const remarks = isVolume ? row.study.notes : top.warnings;
  return remarks.map((each) => h("span", {}, reason(each)));
}
