// Measured figures as people read them: a value with its 95 % interval, or that it was not measured.

import { h } from "./dom.js";
import { number, percent, t } from "./texts.js";

/** The metrics that a card is read by, in the order to show them. */
export const METRICS = ["auc", "sensitivity", "specificity", "ece", "brier"];

/** Whether a card's entry is a measured value. */
export const measured = (figure) => Number.isFinite(figure?.value);

/** Whether it has an interval: a single original gives none. */
export const bounded = (figure) => Number.isFinite(figure?.low) && Number.isFinite(figure?.high);

/** What stands in for a figure: one without a meaning here is null, one that the version lacks is missing. */
const absent = (figure) => t(figure?.value === null ? "model.undefined" : "model.unmeasured");

/** `0.944 (0.912–0.974)`, for a label or a sentence. */
export function spoken(figure, write = decimals) {
  if (!measured(figure)) return absent(figure);
  return bounded(figure) ? `${write(figure.value)} (${write(figure.low)}–${write(figure.high)})` : write(figure.value);
}

/** The same as an element, the interval on a line of its own where there is little room. */
export function figure(figure, write = decimals) {
  if (!measured(figure)) return h("span", { class: "unmeasured" }, absent(figure));
  const interval = bounded(figure) && h("span", { class: "interval" }, `${write(figure.low)}–${write(figure.high)}`);
  return h("span", { class: "figure" }, h("span", { class: "value" }, write(figure.value)), interval);
}

/** Three decimals, as the card has them. */
export const decimals = (value) => number(value, 3);

/** A share of scans, which may well be none or all of them. */
export const share = (value) => (value === 0 || value === 1 ? t("percent", { value: number(value * 100) }) : percent(value));
