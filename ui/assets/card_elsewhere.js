// The heart of the card: how well the model does on sources that it has never seen.

import { p, quoted, sourceName, unmeasured } from "./card_parts.js";
import { h } from "./dom.js";
import { decimals, figure, measured } from "./figures.js";
import { figureTable, twoLines } from "./figure_table.js";
import { forestRow, mark, scale } from "./forest_plot.js";
import { number, t } from "./texts.js";

const KINDS = ["now", "before", "floor"];

/** In words, as a plot and as a table: each source left out of training and tested on. */
export function elsewhere(card) {
  const { rows, before, recipe } = card.leave_one_source_out ?? {};
  if (!rows?.length) return unmeasured();
  const kinds = before?.rows?.length ? KINDS : KINDS.filter((kind) => kind !== "before");
  const found = rows.map((row) => {
    const earlier = before?.rows?.find((one) => one.source === row.source);
    return { row, auc: { now: row.report?.auc, before: earlier?.report?.auc, floor: row.shortcut?.auc } };
  });
  return [
    ...inWords(card, found),
    legend(kinds),
    figureTable({
      caption: t("model.elsewhere.caption"),
      head: [t("model.elsewhere.left_out"), t("model.elsewhere.plot"), ...kinds.map((kind) => t(`model.elsewhere.${kind}`)), t("model.metric.sensitivity"), t("model.metric.specificity")],
      rows: [
        [h("span", { class: "sr-only" }, t("model.elsewhere.scale")), scale(), ...kinds.map(() => null), null, null],
        ...found.map(({ row, auc }) => [
          twoLines(sourceName(row.source), t("model.size", { n: number(row.n), groups: number(row.groups) })),
          forestRow(kinds.map((kind) => ({ kind, name: t(`model.elsewhere.${kind}`), figure: auc[kind] }))),
          ...kinds.map((kind) => figure(auc[kind])),
          figure(row.report?.sensitivity),
          figure(row.report?.specificity),
        ]),
      ],
      kind: "dense forest-table",
    }),
    p("model.elsewhere.undefined"),
    h("p", { class: "note" }, t("model.elsewhere.recipe"), " ", quoted(recipe ?? ""), before?.recipe ? ["; ", t("model.elsewhere.recipe_before"), " ", quoted(before.recipe)] : null),
  ];
}

/** What the table says, with its own figures. */
function inWords(card, found) {
  const single = found.filter(({ row, auc }) => measured(auc.now) && !row.source.includes("+"));
  if (!single.length) return [p("model.elsewhere.what")];
  const by = (a, b) => a.auc.now.value - b.auc.now.value;
  const [worst] = [...single].sort(by);
  const best = [...single].sort(by).at(-1);
  const test = card.metrics?.test?.auc;
  const words = [p("model.elsewhere.what")];
  if (measured(test)) {
    words.push(h("p", { class: "heart" }, t("model.elsewhere.heart", {
      test: decimals(test.value),
      best: decimals(best.auc.now.value), best_source: best.row.source,
      worst: decimals(worst.auc.now.value), worst_source: worst.row.source,
    })));
  }
  const near = single.filter(({ auc }) => measured(auc.floor) && auc.now.low <= auc.floor.high).map(({ row }) => row.source);
  words.push(near.length ? p("model.elsewhere.near_floor", { sources: near.join(", ") }) : p("model.elsewhere.clear_of_floor"));
  return words;
}

function legend(kinds) {
  return h("ul", { class: "legend" },
    kinds.map((kind) => h("li", {}, mark(kind), h("span", {}, t(`model.elsewhere.${kind}.meaning`)))),
    h("li", {}, h("span", { class: "chance-mark", "aria-hidden": "true" }), h("span", {}, t("model.elsewhere.chance"))));
}
