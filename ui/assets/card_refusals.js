// What the model refuses to judge, and how well its map points.

import { p, quoted, unmeasured } from "./card_parts.js";
import { h } from "./dom.js";
import { decimals, figure, measured, share, spoken } from "./figures.js";
import { figureTable, twoLines } from "./figure_table.js";
import { number, t } from "./texts.js";

/** Shares refused: of images that are no brain MRI, by family, and of real scans, by source. */
export function refusals(card) {
  const { method, no_brain_mri: foreign, refused_scans_of_the_test_split: scans } = card.out_of_distribution ?? {};
  if (!method) return unmeasured();
  const words = [p("model.refusals.what"), h("p", { class: "note" }, t("model.refusals.method"), " ", quoted(method), ".")];
  if (!foreign) return [...words, ...unmeasured()];
  const family = (name, one) => [
    name, twoLines(number(one.n), t("model.refusals.originals", { n: number(one.originals) })), bar(one.refused), figure(one.refused, share)];
  const families = Object.entries(foreign.families ?? {}).sort(([, a], [, b]) => a.refused.value - b.refused.value);
  const hard = families.filter(([, one]) => one.refused.value < 1);
  const clear = families.filter(([, one]) => one.refused.value === 1).map(([name]) => readable(name));
  const head = [t("model.refusals.family"), t("model.refusals.images"), t("model.refusals.bar"), t("model.refusals.share")];
  return [
    ...words,
    figureTable({
      caption: t("model.refusals.caption"),
      head,
      rows: [
        family(t("model.refusals.all"), foreign.all),
        ...(foreign.not_drawn ? [family(t("model.refusals.not_drawn"), foreign.not_drawn)] : []),
        ...hard.map(([name, one]) => family(quoted(readable(name)), one)),
      ],
    }),
    clear.length ? h("p", {}, t("model.refusals.clear", { n: number(clear.length) }), " ", quoted(clear.join(", ")), ".") : null,
    scans ? figureTable({
      caption: t("model.refusals.scans"),
      head: [t("model.source"), t("model.refusals.refused"), t("model.refusals.bar"), t("model.refusals.share")],
      rows: Object.entries(scans).map(([source, one]) => [source, number(one.n), bar(one.share), figure(one.share, share)]),
    }) : null,
  ];
}

const readable = (name) => name.replaceAll("_", " ");

function bar(one) {
  const width = measured(one) ? one.value * 100 : 0;
  return h("div", { class: "share-bar", "aria-hidden": "true" }, h("div", { style: `width: ${width}%` }));
}

/** Whether the map's strongest point lies where somebody outlined the tumour. */
export function evidenceMap(card) {
  const map = card.evidence_map;
  if (!map) return unmeasured();
  const row = (key, value, chance) => [t(`model.map.${key}`), value, chance];
  return [
    p("model.map.what", { n: number(map.n), groups: number(map.groups), hits: spoken(map.hit_rate, share) }),
    figureTable({
      caption: t("model.map.caption"),
      head: [t("model.map.measure"), t("model.map.figure"), t("model.map.chance")],
      rows: [
        row("hit_rate", figure(map.hit_rate, share), figure(map.chance, share)),
        row("hit_rate_near", figure(map.hit_rate_near, share), figure(map.chance_near, share)),
        row("inside_outside_ratio", figure(map.inside_outside_ratio), number(1)),
        row("separation", figure(map.separation), decimals(0.5)),
      ],
    }),
  ];
}
