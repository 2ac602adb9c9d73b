// The model tab: the card of the version that answers, of others by choice, and versions side by side.

import { section, states } from "./card_parts.js";
import { bands, calibration } from "./card_bands.js";
import { elsewhere } from "./card_elsewhere.js";
import { keyFigures } from "./card_figures.js";
import { evidenceMap, refusals } from "./card_refusals.js";
import { data, limits, origin, plots, purpose } from "./card_origin.js";
import { sideBySide } from "./card_versions.js";
import { h } from "./dom.js";
import { allVersions, cardOf, hasCard, plotsOf } from "./model_versions.js";
import { t } from "./texts.js";

/** Fill the tab; Gradio does not mount it before it is opened, so who only wants an answer waits for no card. */
export function mount(element) {
  element.classList.add("model");
  load(element);
}

async function load(element) {
  element.replaceChildren(h("p", { class: "wait" }, t("model.loading")));
  try {
    const known = await allVersions();
    const wished = Number(new URLSearchParams(location.search).get("version"));
    const first = known.versions.find((one) => one.number === wished && hasCard(one));
    const card = h("div", { class: "card" });
    const show = (version) => showCard(card, known, version);
    const answering = known.versions.find((one) => one.number === known.answers);
    element.replaceChildren(chooser(known, first ?? answering, show), card, section("versions", sideBySide, known));
    await show(first ?? answering);
  } catch (error) {
    element.replaceChildren(failure(error, () => load(element)));
  }
}

function chooser({ name, answers, versions }, chosen, show) {
  const options = versions.map((one) =>
    h("option", { value: one.number, selected: one === chosen, disabled: !hasCard(one) }, `${one.number}: ${states(one, answers)}`));
  const select = h("select", { id: "model-version", onchange: () => show(versions.find((one) => String(one.number) === select.value)) }, options);
  return h("div", { class: "chooser" }, h("h2", {}, t("model.title", { name })), h("label", { for: "model-version" }, t("model.version")), select);
}

async function showCard(element, known, version) {
  element.setAttribute("aria-busy", "true");
  element.dataset.wanted = version.number;
  const overtaken = () => element.dataset.wanted !== String(version.number); // by a later choice
  try {
    const [card, pictures] = await Promise.all([cardOf(version), plotsOf(version)]);
    if (overtaken()) return;
    element.replaceChildren(
      purpose(card, version, known.answers),
      section("figures", keyFigures, card),
      section("elsewhere", elsewhere, card),
      section("bands", bands, card),
      section("calibration", calibration, card),
      section("refusals", refusals, card),
      section("map", evidenceMap, card),
      section("data", data, card),
      section("limits", limits, card),
      section("plots", plots, pictures),
      section("origin", origin, card));
  } catch (error) {
    if (!overtaken()) element.replaceChildren(failure(error, () => showCard(element, known, version)));
  } finally {
    if (!overtaken()) element.removeAttribute("aria-busy");
  }
}

function failure(error, again) {
  return h("div", { class: "failure", role: "alert" }, h("p", {}, error.message), h("button", { type: "button", onclick: again }, t("model.again")));
}
