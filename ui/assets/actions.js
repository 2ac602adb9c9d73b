// What can be done with an answer: copy it, take it along as a PDF, print it.

import { report } from "./api.js";
import { copy } from "./clipboard.js";
import { h } from "./dom.js";
import { save } from "./saving.js";
import { language, percent, t } from "./texts.js";
import { confidence, verdict } from "./verdict.js";

/** The row of actions under an answer. `file` is what was analysed; its name goes along only if ticked. */
export function answerActions({ file, slice, model }) {
  const told = h("p", { class: "told", role: "status" });
  const named = h("input", { type: "checkbox" });
  const button = (text, act) => {
    const element = h("button", { type: "button", class: "button" }, text);
    element.addEventListener("click", async () => {
      element.disabled = true;
      try {
        told.textContent = (await act()) ?? "";
      } catch (error) {
        told.textContent = error.message;
      } finally {
        element.disabled = false;
        element.focus({ preventScroll: true }); // a disabled button loses it
      }
    });
    return element;
  };
  const pdf = async () => {
    told.textContent = t("action.making");
    save(await report(file, { language, name: named.checked ? file.name : null }), "brain-mri-report.pdf");
    return t("action.saved");
  };
  return h("div", { class: "actions" },
    button(t("action.copy"), () => copy(asText(slice.decision, model))),
    button(t("action.pdf"), pdf),
    button(t("action.print"), () => window.print()),
    h("label", { class: "tick" }, named, " ", t("action.named")),
    told);
}

/** The answer as lines of text. */
function asText(decision, { model, thresholds }) {
  const lines = [t("title")];
  if (decision.in_distribution)
    lines.push(`${verdict(decision)}. ${confidence(decision)}`, `${t("fact.probability")}: ${percent(decision.probability)}`);
  else lines.push(t("refusal.title"), t("refusal.why"));
  return [
    ...lines,
    `${t("fact.thresholds")}: ${t("fact.threshold_values", { low: percent(thresholds.low), high: percent(thresholds.high) })}`,
    `${t("fact.model")}: ${t("fact.version", model)}`,
    t("disclaimer"),
  ].join("\n");
}
