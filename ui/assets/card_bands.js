// Where the thresholds lie, what the bands between them turned out to mean, and what a probability is worth.

import { p, quoted, unmeasured } from "./card_parts.js";
import { h } from "./dom.js";
import { decimals, figure, measured, share, spoken } from "./figures.js";
import { figureTable } from "./figure_table.js";
import { RISKS } from "./risk_zones.js";
import { number, t } from "./texts.js";

const THRESHOLDS = ["low", "label", "high"];

/** Thresholds, bands, and what an answer is worth where tumours are rarer. */
export function bands(card) {
  if (!card.thresholds) return unmeasured();
  const thresholds = figureTable({
    caption: t("model.bands.thresholds"),
    head: [t("model.bands.threshold"), t("model.bands.value"), t("model.bands.chosen_for")],
    rows: THRESHOLDS.map((name) => [
      t(`model.bands.threshold.${name}`),
      figure(card.thresholds_intervals?.[name] ?? { value: card.thresholds[name] }),
      card.thresholds_chosen_for?.[name] ? quoted(card.thresholds_chosen_for[name]) : t("model.unmeasured"),
    ]),
    kind: "wide-last",
  });
  return [p("model.bands.what"), thresholds, ...outcome(card), ...worth(card)];
}

function outcome(card) {
  const risk = card.decisions?.test?.risk;
  if (!risk) return [h("p", { class: "unmeasured" }, t("model.bands.unmeasured"))];
  const missed = risk.low?.tumor_rate;
  return [
    figureTable({
      caption: t("model.bands.outcome"),
      head: [t("model.bands.risk"), t("model.scans"), t("model.bands.share"), t("model.bands.tumours")],
      rows: RISKS.map((name) => [
        h("span", { class: `pill ${name}` }, t(`model.bands.risk.${name}`)),
        number(risk[name]?.n ?? 0),
        figure(risk[name]?.share, share),
        figure(risk[name]?.tumor_rate, share),
      ]),
    }),
    measured(missed) ? p("model.bands.in_words", { missed: spoken(missed, share), high: spoken(risk.high?.tumor_rate, share) }) : null,
  ];
}

/** Positive and negative predictive value by prevalence. */
function worth(card) {
  const { ppv, npv } = card.metrics?.test ?? {};
  if (!ppv || !npv) return [];
  return [
    figureTable({
      caption: t("model.bands.worth"),
      head: [t("model.bands.prevalence"), t("model.bands.ppv"), t("model.bands.npv")],
      rows: Object.keys(ppv).sort().map((prevalence) => [share(Number(prevalence)), figure(ppv[prevalence], share), figure(npv[prevalence], share)]),
    }),
    p("model.bands.worth_what"),
  ];
}

/** How probabilities were made honest. */
export function calibration(card) {
  const { method, fitted_on: fitted, cross_validated: tried } = card.calibration ?? {};
  if (!method) return unmeasured();
  const ece = card.metrics?.test?.ece;
  const sentences = [
    p("model.calibration.what"),
    h("p", {}, t("model.calibration.method"), " ", quoted(fitted ? `${method}, ${fitted}` : method), "."),
    measured(ece) ? p("model.calibration.ece", { ece: spoken(ece, share) }) : null,
  ];
  if (!tried) return sentences;
  return [
    ...sentences,
    figureTable({
      caption: t("model.calibration.tried"),
      head: [t("model.calibration.calibrator"), t("model.calibration.log_loss"), t("model.metric.brier")],
      rows: Object.entries(tried).map(([name, loss]) => [quoted(name), decimals(loss.log_loss), decimals(loss.brier)]),
    }),
  ];
}
