// What the model says about one image, in words.

import { number, percent, t } from "./texts.js";

/** The headline: "Tumour", "No tumour", or "Unsure" where the risk is medium. */
export const verdict = ({ label, risk }) => (risk === "medium" ? t("verdict.unsure") : t(`verdict.${label}`));

/** How sure: "Confidence 94.1 %", after what it leans to where it is unsure. */
export function confidence({ label, risk, confidence: share }) {
  const said = t("verdict.confidence", { share: percent(share) });
  return risk === "medium" ? `${t(`verdict.leans.${label}`)} ${said}` : said;
}

/** One sentence for who cannot see the panel, and for the list of the session. */
export function spoken(decision) {
  if (!decision) return t("answer.empty");
  if (!decision.in_distribution) return t("refusal.title");
  return t("verdict.spoken", {
    verdict: verdict(decision),
    share: percent(decision.probability),
    risk: t(`risk.${decision.risk}`).toLowerCase(),
  });
}

/** A share as so many of a hundred, whole; never none and never all of them. */
export function ofHundred(share) {
  if (share < 0.005) return t("hundred.under");
  if (share > 0.995) return t("hundred.over");
  return number(share * 100);
}

/** The same, where it is an estimate: "about 94". */
export function aboutOfHundred(share) {
  const count = ofHundred(share);
  return share < 0.005 || share > 0.995 ? count : t("hundred.about", { count });
}
