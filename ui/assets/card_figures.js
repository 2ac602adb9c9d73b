// The key figures on the test split, beside them what a program gets that sees no content.

import { p, quoted, sourceName, unmeasured } from "./card_parts.js";
import { h } from "./dom.js";
import { figure, measured, METRICS, spoken } from "./figures.js";
import { figureTable, twoLines } from "./figure_table.js";
import { number, t } from "./texts.js";

/** Tiles for all test scans, and a table by source. */
export function keyFigures(card) {
  const { test, test_by_source: bySource = {}, test_mean_of_sources: mean, shortcut_floor: floor } = card.metrics ?? {};
  if (!test) return unmeasured();
  const tiles = METRICS.map((name) =>
    h("div", { class: "tile" },
      h("dt", {}, t(`model.metric.${name}`)),
      h("dd", {}, figure(test[name]), h("span", { class: "second" }, t(`model.metric.${name}.meaning`)),
        name === "auc" && measured(floor?.test?.auc) ? h("span", { class: "second floor" }, t("model.figures.floor", { floor: spoken(floor.test.auc) })) : null)));
  const row = (label, title, report, floorReport, size) => [
    twoLines(label, title), size, figure(report.auc), figure(floorReport?.auc),
    ...METRICS.slice(1).map((name) => figure(report[name]))];
  const rows = Object.entries(bySource).map(([source, report]) =>
    row(sourceName(source), title(card, source), report, floor?.test_by_source?.[source], twoLines(number(report.n), t("model.groups", { n: number(report.groups) }))));
  if (mean) rows.push(row(t("model.figures.mean"), null, mean, floor?.test_mean_of_sources, t("model.figures.each_alike")));
  return [
    p("model.figures.what", { n: number(test.n), groups: number(test.groups), tumor: number(test.tumor), normal: number(test.no_tumor) }),
    h("dl", { class: "tiles" }, tiles),
    p("model.figures.internal"),
    figureTable({
      caption: t("model.figures.caption"),
      head: [t("model.source"), t("model.scans"), t("model.metric.auc"), t("model.floor"), ...METRICS.slice(1).map((name) => t(`model.metric.${name}`))],
      rows,
      kind: "dense",
    }),
    floor ? h("p", { class: "note" }, t("model.figures.floor_what"), " ", quoted(`(${floor.method})`)) : null,
  ];
}

const title = (card, source) => {
  const text = card.data?.sources?.[source]?.title;
  return text ? quoted(text) : null;
};
