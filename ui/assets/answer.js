// The answer to one image, or a refusal in its place.

import { bands } from "./bands.js";
import { h } from "./dom.js";
import { evidenceFigure } from "./evidence.js";
import { riskBar } from "./risk_bar.js";
import { openTab } from "./tabs.js";
import { has, number, percent, t } from "./texts.js";
import { aboutOfHundred, confidence, verdict } from "./verdict.js";

/**
 * The panel for one slice: decision, risk bar, map, warnings, facts.
 *
 * `slice` is a SliceResult with picture and overlay, `model` a ModelEvent. `latency` holds `prepare`,
 * `model` and, where the page measured it, `total` in milliseconds. `actions` is an element for the foot.
 * A `brief` panel leaves out what the bands mean.
 */
export function answerPanel({ slice, model, latency = null, actions = null, brief = false }) {
  const { decision } = slice;
  if (!decision) return h("div", { class: "panel answer" }, h("h2", {}, t("answer.empty")));
  const parts = decision.in_distribution ? answered(slice, model, brief) : refused(slice, model);
  return h("article", { class: `panel ${decision.in_distribution ? "answer" : "answer refused"}` },
    h("p", { class: "paper-only" }, h("strong", {}, t("title")), " · ", new Date().toLocaleString(document.documentElement.lang)),
    parts, facts(decision, model, latency), actions,
    h("p", { class: "paper-only" }, t("disclaimer")));
}

function answered(slice, model, brief) {
  const { decision } = slice;
  return [
    warnings(slice, t("warning.title")),
    h("div", { class: "head" },
      h("div", { class: "verdict" },
        h("p", { class: "eyebrow" }, t("answer.eyebrow")),
        h("h2", {}, verdict(decision)),
        h("p", { class: "confidence" }, confidence(decision)),
        h("p", {}, t(`meaning.${decision.risk}`), " ", t("answer.frequency", { count: aboutOfHundred(decision.probability) })),
        riskBar(decision, model.thresholds)),
      evidenceFigure(slice, model),
      brief ? null : bands(decision, model)),
  ];
}

function refused(slice, model) {
  const { decision } = slice;
  return [
    h("div", { class: "head" },
      h("div", { class: "verdict", role: "alert" },
        h("p", { class: "eyebrow" }, t("answer.eyebrow")),
        h("h2", {}, t("refusal.title")),
        h("p", {}, t("refusal.why")),
        h("p", {}, t("refusal.next"))),
      evidenceFigure(slice, model, { map: false })),
    h("details", { class: "would" },
      h("summary", {}, t("refusal.would")),
      h("p", {}, t("refusal.numbers", { verdict: verdict(decision), score: number(decision.ood_score, 2) })),
      riskBar(decision, model.thresholds)),
    warnings(slice, t("refusal.warnings")),
  ];
}

function warnings({ warnings: found }, title) {
  if (!found?.length) return null;
  return h("div", { class: "warning", role: "note" },
    h("p", { class: "about" }, title),
    h("ul", {}, found.map(({ code, message }) =>
      h("li", {}, has(`server.${code}`) ? t(`server.${code}`) : message))));
}

function facts(decision, { model, thresholds }, latency) {
  const card = h("button", { type: "button", class: "link", onclick: () => openTab("model") }, t("fact.card"));
  const rows = [
    decision.in_distribution ? [t("fact.probability"), percent(decision.probability)] : null,
    [t("fact.thresholds"), t("fact.threshold_values", { low: percent(thresholds.low), high: percent(thresholds.high) })],
    [t("fact.model"), t("fact.version", model), h("span", { class: "screen-only" }, " · ", card)],
    latency ? [t("fact.time"), ...duration(latency)] : null,
  ];
  return h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, ...value]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function duration({ prepare, model, total = null }) {
  const ms = (value) => t("fact.ms", { value: number(value) });
  const places = { prepare: ms(prepare), model: ms(model) };
  if (total === null) return [t("fact.parts", places)];
  const rest = ms(Math.max(0, total - prepare - model));
  return [h("strong", {}, ms(total)), ` ${t("fact.all_parts", { ...places, rest })}`];
}
