// Where a probability lies between the version's two thresholds.

import { h } from "./dom.js";
import { RISKS, position } from "./risk_zones.js";
import { percent, t } from "./texts.js";

/**
 * A bar of three zones of equal width, the thresholds between them, a marker at the probability.
 *
 * Equal widths keep all three readable whatever the thresholds; within a zone the scale is linear.
 */
export function riskBar({ probability, risk }, thresholds) {
  const { low, high } = thresholds;
  const left = (100 * position(probability, thresholds)).toFixed(1);
  const said = t("risk.spoken", {
    risk: t(`risk.${risk}`).toLowerCase(), share: percent(probability), low: percent(low), high: percent(high),
  });
  const tick = (at, text) => h("span", { style: `left:${at}%` }, text);
  return h("div", { class: "risk", role: "img", "aria-label": said },
    h("div", { class: "scale" },
      // Shifted by its own share, so that the text stays above the bar at either end.
      h("span", { class: "value", style: `left:${left}%;transform:translateX(-${left}%)` }, percent(probability)),
      h("span", { class: "marker", style: `left:${left}%` }),
    ),
    h("div", { class: "zones" },
      RISKS.map((each) => h("span", { class: `zone ${each}${each === risk ? " here" : ""}` }, t(`risk.${each}`)))),
    h("div", { class: "ticks" },
      tick(0, t("percent", { value: 0 })), tick(33.3, percent(low)), tick(66.7, percent(high)),
      tick(100, t("percent", { value: 100 }))),
  );
}
