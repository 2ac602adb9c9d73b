// What low, medium and high mean: their bounds, and how often each was right on the test scans.

import { servedCardOrNull } from "./cards.js";
import { h } from "./dom.js";
import { RISKS } from "./risk_zones.js";
import { number, percent, t } from "./texts.js";
import { ofHundred } from "./verdict.js";

/** The three bands; their measured rates come with the version's card. */
export function bands({ risk }, { model, thresholds }) {
  const low = percent(thresholds.low);
  const high = percent(thresholds.high);
  const measured = new Map(RISKS.map((each) => [each, h("span", { class: "measured" })]));
  const rows = RISKS.map((each) =>
    h("li", { class: each === risk ? "here" : null },
      h("span", { class: `pill ${each}` }, t(`risk.${each}`)),
      h("span", {},
        h("span", { class: "bounds" }, t(`band.${each}`, { low, high }), each === risk ? ` ${t("band.here")}` : null),
        " ", measured.get(each))));
  const about = h("p", { class: "quiet" });
  servedCardOrNull(model.version).then((card) => {
    const split = card?.decisions?.test;
    for (const [each, place] of measured) {
      const rate = split?.risk?.[each];
      if (rate?.n) place.textContent = sentence(each, rate);
    }
    const { n, ece } = card?.metrics?.test ?? {};
    if (split && n) about.append(t("band.about", { n: number(n) }));
    if (split && ece) about.append(" ", t("band.off", { points: number(ece.value * 100, 1) }));
  });
  return h("section", { class: "bands" }, h("h3", {}, t("band.title")), h("ul", {}, rows), about);
}

function sentence(risk, { n, tumor_rate: rate }) {
  return t("band.measured", {
    risk: t(`risk.${risk}`).toLowerCase(), n: number(n),
    count: ofHundred(rate.value), from: number(rate.low * 100), to: number(rate.high * 100),
  });
}
