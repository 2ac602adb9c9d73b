// Versions side by side.

import { p, sourceName, states } from "./card_parts.js";
import { h } from "./dom.js";
import { figure, METRICS, share } from "./figures.js";
import { figureTable } from "./figure_table.js";
import { cardOf, hasCard } from "./model_versions.js";
import { number, t } from "./texts.js";

/** As many columns as a page is wide. */
const COLUMNS = 3;

/** Boxes to choose versions by, and the table of those chosen; the first few to begin with. */
export function sideBySide(known) {
  const readable = known.versions.filter(hasCard);
  const others = known.versions.filter((one) => !hasCard(one));
  const without = others.length ? h("ul", {}, others.map((one) => h("li", {}, t("model.versions.without", { version: one.number, state: states(one, known.answers) })))) : null;
  if (readable.length < 2) return [p("model.versions.only_one"), without];
  const chosen = new Set(readable.slice(0, COLUMNS));
  const table = h("div", { class: "compared", "aria-live": "polite" });
  const boxes = readable.map((one) => {
    const box = h("input", { type: "checkbox", checked: chosen.has(one), onchange: () => { box.checked ? chosen.add(one) : chosen.delete(one); show(); } });
    return h("label", {}, box, h("span", {}, t("model.versions.version", { version: one.number, state: states(one, known.answers) })));
  });
  const show = async () => {
    const shown = readable.filter((one) => chosen.has(one));
    for (const [at, label] of boxes.entries()) label.firstChild.disabled = chosen.size >= COLUMNS && !chosen.has(readable[at]);
    if (shown.length < 2) return table.replaceChildren(p("model.versions.choose"));
    try {
      const cards = await Promise.all(shown.map(cardOf));
      if (shown.length !== chosen.size || !shown.every((one) => chosen.has(one))) return; // chosen anew meanwhile
      table.replaceChildren(...compared(shown, cards).filter(Boolean));
    } catch (error) {
      table.replaceChildren(h("p", { role: "alert" }, error.message));
    }
  };
  show();
  return [p("model.versions.what"), h("fieldset", { class: "boxes" }, h("legend", {}, t("model.versions.legend")), boxes), table, without];
}

function compared(versions, cards) {
  const each = (read) => cards.map(read);
  const rows = [
    [t("model.versions.size"), ...each(({ metrics }) => (metrics?.test ? t("model.size", { n: number(metrics.test.n), groups: number(metrics.test.groups) }) : null))],
    ...METRICS.map((name) => [t("model.versions.test", { metric: t(`model.metric.${name}`) }), ...each((card) => figure(card.metrics?.test?.[name]))]),
    ...left(cards).map((source) => [t("model.versions.left_out", { source: sourceName(source) }), ...each((card) => figure(withoutSource(card, source)))]),
    [t("model.versions.refused"), ...each((card) => figure(card.out_of_distribution?.no_brain_mri?.all?.refused, share))],
    [t("model.versions.hits"), ...each((card) => figure(card.evidence_map?.hit_rate, share))],
    [t("model.versions.low"), ...each((card) => figure(card.thresholds_intervals?.low ?? { value: card.thresholds?.low }))],
    [t("model.versions.high"), ...each((card) => figure(card.thresholds_intervals?.high ?? { value: card.thresholds?.high }))],
    [t("model.versions.commit"), ...each((card) => (card.git_commit ? h("code", {}, card.git_commit) : null))],
  ];
  const data = new Set(cards.map((card) => card.data?.sha256));
  return [
    figureTable({ caption: t("model.versions.caption"), head: [t("model.versions.figure"), ...versions.map((one) => t("model.versions.column", { version: one.number }))], rows, kind: "versions" }),
    data.size > 1 ? h("p", { class: "note" }, t("model.versions.other_data")) : null,
    p("model.versions.mind"),
  ];
}

/** Sources that some version was tested on without having learnt from them, where an AUC has a meaning. */
function left(cards) {
  const all = cards.flatMap((card) => card.leave_one_source_out?.rows ?? []);
  return [...new Set(all.filter((row) => Number.isFinite(row.report?.auc?.value)).map((row) => row.source))];
}

const withoutSource = (card, source) => card.leave_one_source_out?.rows?.find((row) => row.source === source)?.report?.auc;
