// The answers of a run: a table that fills, its filters, one scan over it, and what to keep of it.

import { createDetail } from "./detail.js";
import { h } from "./dom.js";
import { csvOf, jsonOf } from "./downloads.js";
import { groupOf } from "./rows.js";
import { save } from "./saving.js";
import { createTable } from "./table.js";
import { number, percent, t } from "./texts.js";

const FILTERS = ["all", "high", "medium", "low", "refused", "unanswered"];

/**
 * The answers, none to begin with.
 *
 * @param {import("./rows.js").Rows} rows of the run
 * @returns {{ element: HTMLElement, draw: Function, onSlice: Function, finish: Function }} `draw()` shows the rows as
 *   they are now; `onSlice(row, slice)` and `finish()` tell what comes while one of them is open
 */
export function createResults(rows) {
  let filter = "all";

  const filters = FILTERS.map((name) => {
    const count = h("span", { class: "count" });
    const choose = () => { filter = name; draw(); };
    const label = [t(`many.filter.${name}`), " ", count];
    const button = h("button", { type: "button", class: `filter ${name}`, onclick: choose }, label);
    return { name, button, count };
  });
  const table = createTable((row) => detail.show(row));
  const detail = createDetail(table.listed);
  const nothing = h("p", { class: "hint nothing" }, t("many.none"));
  const answeredBy = h("p", { class: "hint answered-by" });
  const keep = ["csv", "json"].map((form) => {
    const onclick = () => download(form);
    return h("button", { type: "button", class: "button", onclick }, t(`many.download.${form}`));
  });
  const element = h(
    "div",
    { class: "results" },
    h("div", { class: "filters", role: "group", "aria-label": t("many.filters") }, filters.map(({ button }) => button)),
    table.element,
    nothing,
    answeredBy,
    h("div", { class: "keep" }, keep, h("p", { class: "hint" }, t("many.download.note"))),
    detail.element,
  );

  const draw = () => {
    const groups = new Map(rows.all.map((row) => [row, groupOf(row)]));
    for (const { name, button, count } of filters) {
      const matches = name === "all" ? rows.all.length : [...groups.values()].filter((group) => group === name).length;
      count.textContent = number(matches);
      button.setAttribute("aria-pressed", String(name === filter));
    }
    const wanted = rows.all.filter((row) => filter === "all" || groups.get(row) === filter);
    table.show(wanted);
    nothing.hidden = wanted.length > 0;
    element.hidden = !rows.all.length;
    answeredBy.textContent = versionsOf(rows.models);
  };

  const download = (form) => {
    const name = `${t("many.download.name")}-${new Date().toISOString().slice(0, 10)}.${form}`;
    const disclaimer = rows.models[0]?.disclaimer ?? t("disclaimer");
    const [text, type] = form === "csv"
      ? [csvOf(rows, disclaimer), "text/csv;charset=utf-8"]
      : [jsonOf(rows, disclaimer), "application/json"];
    save(new Blob([text], { type }), name);
  };

  return { element, draw, onSlice: detail.onSlice, finish: detail.finish };
}

function versionsOf(models) {
  if (!models.length) return "";
  const [{ model: { name }, thresholds }] = models;
  const versions = [...new Set(models.map(({ model }) => model.version))];
  const places = { name, versions: versions.join(", "), low: percent(thresholds.low), high: percent(thresholds.high) };
  return t(versions.length > 1 ? "many.models" : "many.model", places);
}
