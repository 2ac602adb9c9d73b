// A volume: the risk along it, and its slices one by one with the evidence. The model judges single slices,
// so the page gives no figure for the whole.

import { reason } from "./api.js";
import { createCurve } from "./curve.js";
import { h } from "./dom.js";
import { createStage } from "./stage.js";
import { counted, peaks } from "./slices.js";
import { number, percent, t } from "./texts.js";

const STATEMENTS = ["single", "planes", "whole", "unlike"];

/**
 * The view of one volume.
 *
 * @param {{ study: object, model: object, stop?: () => void }} options the StudyEvent, the ModelEvent, and what ends
 *   the run; without it there is no such button
 * @returns {{ element: HTMLElement, onSlice: (slice: object) => void, finish: (error: ?Error) => void }}
 */
export function createVolumeView({ study, model, stop = null }) {
  const slices = []; // by index
  const state = { at: 0, chosen: false, running: true, error: null };
  let frame = null;

  const summary = h("p", { class: "counts" });
  const notes = h("ul", { class: "remarks" }, study.notes.map((note) => h("li", {}, reason(note))));
  const progress = h("progress", { max: study.length, "aria-label": t("volume.progress.label") });
  const words = h("p", { class: "hint", role: "status" });
  const stopping = h("button", { type: "button", class: "button", onclick: stop }, t("many.stop"));
  const failure = h("p", { class: "failure", role: "alert", hidden: true });
  const refusal = h(
    "div",
    { class: "refusal", role: "alert", hidden: true },
    h("h3", {}, t("volume.refused.title")),
    h("p", {}, t("volume.refused.text")),
  );
  const curve = createCurve(study, model.thresholds, (index) => show(index));
  const slider = h("input", {
    class: "position", type: "range", min: 0, max: study.length - 1, step: 1, value: 0,
    "aria-label": t("volume.slider"), oninput: () => show(Number(slider.value)),
  });
  const drawing = h("div", {}, curve.element);
  const plot = h("div", { class: "plot" }, drawing, slider);
  const legend = h("p", { class: "hint" }, t("volume.curve.legend"));
  const table = h("tbody");
  const heads = ["slice", "risk", "probability"].map((name) => h("th", { scope: "col" }, t(`volume.table.${name}`)));
  const asTable = h(
    "details",
    { class: "as-table", ontoggle: () => fillTable() },
    h("summary", {}, t("volume.table")),
    h("table", {}, h("thead", {}, h("tr", {}, heads)), table),
  );
  const stage = createStage(study);
  const top = h("ul", { class: "peaks" });
  const tops = h("div", { class: "top" }, h("h3", {}, t("volume.top")), top);
  const element = h(
    "section",
    { class: "volume", "aria-label": t("volume.label") },
    h("h2", {}, titleOf(study)),
    summary,
    study.notes.length ? notes : null,
    progress,
    h("div", { class: "reading" }, words, stopping),
    failure,
    refusal,
    plot,
    h("div", { class: "look" }, stage.element, tops),
    h("div", { class: "explained" }, legend, asTable),
    h("ul", { class: "statements" }, STATEMENTS.map((name) => h("li", {}, t(`volume.statement.${name}`)))),
    h("p", { class: "hint" }, t("volume.model", { name: model.model.name, version: model.model.version })),
  );

  const show = (index) => {
    state.chosen = true;
    state.at = index;
    soon();
  };

  const draw = () => {
    frame = null;
    const counts = counted(slices);
    const known = slices.filter(Boolean).length;
    const judged = counts.high + counts.medium + counts.low;
    const refused = !state.running && known > 0 && !judged;
    if (!state.chosen) state.at = peaks(slices, study)[0]?.index ?? slices.findIndex((one) => one && !one.empty);
    state.at = Math.max(0, state.at);
    summary.textContent = judged ? countsOf(counts, study.length) : "";
    summary.hidden = !judged;
    progress.value = known;
    progress.hidden = !state.running;
    words.textContent = state.running ? t("volume.progress", { done: number(known), total: number(study.length) }) : "";
    words.hidden = !state.running;
    stopping.hidden = !state.running || !stop;
    failure.hidden = !state.error;
    failure.textContent = state.error ? failureOf(state.error, known, study.length) : "";
    refusal.hidden = !refused;
    legend.hidden = asTable.hidden = drawing.hidden = refused;
    slider.value = state.at;
    slider.setAttribute("aria-valuetext", stage.show(slices[state.at], state.at));
    if (!refused) curve.draw(slices, state.at, Math.max(280, plot.clientWidth), curveWords(counts, slices, study));
    drawTop(refused);
    fillTable();
  };

  const drawTop = (refused) => {
    const found = peaks(slices, study);
    tops.hidden = refused || !found.length;
    const places = found.map((one) => one.index).join();
    if (top.dataset.places !== places) {
      top.replaceChildren(...found.map((one) => h("li", {}, peakButton(one, study, () => show(one.index)))));
      top.dataset.places = places; // buttons that stay keep the focus
    }
    for (const button of top.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.index) === state.at));
    }
  };

  const fillTable = () => {
    if (!asTable.open) return;
    const rows = slices.filter(Boolean).map(cellsOf);
    table.replaceChildren(...rows.map((cells) => h("tr", {}, cells.map((content) => h("td", {}, content)))));
  };

  const soon = () => { frame ??= requestAnimationFrame(draw); };

  const onSlice = (slice) => {
    slices[slice.index] = slice;
    soon();
  };

  const finish = (error = null) => {
    Object.assign(state, { running: false, error });
    soon();
  };

  new ResizeObserver(soon).observe(plot);
  soon();
  return { element, onSlice, finish };
}

function titleOf({ length, plane, spacing_mm: spacing }) {
  const places = { count: number(length), plane: t(`volume.plane.${plane ?? "unknown"}`) };
  return spacing ? t("volume.title_spaced", { ...places, mm: number(spacing, 1) }) : t("volume.title", places);
}

function countsOf(counts, length) {
  const kinds = ["high", "medium", "low", "unfamiliar", "empty"].filter((name) => counts[name]);
  const parts = kinds.map((name) => t(`volume.counts.${name}`, { count: number(counts[name]) }));
  return t("volume.counts", { total: number(length), parts: parts.join(", ") });
}

function failureOf(error, known, length) {
  const reason = error.name === "AbortError" ? t("volume.stopped") : error.message;
  return `${reason} ${t("volume.partly", { done: number(known), total: number(length) })}`;
}

/** The curve in words. */
function curveWords(counts, slices, study) {
  const [peak] = peaks(slices, study);
  if (!peak) return t("volume.curve.none");
  const places = { slice: number(peak.index + 1), percent: percent(peak.decision.probability) };
  return `${t("volume.curve.label", places)} ${countsOf(counts, study.length)}`;
}

function peakButton(slice, { spacing_mm: spacing }, onclick) {
  const { probability, risk } = slice.decision;
  return h(
    "button",
    { type: "button", onclick, "data-index": slice.index },
    slice.picture && h("img", { src: slice.picture, alt: "", width: 96, height: 96 }),
    h("span", { class: "slice" }, t("volume.slice", { slice: number(slice.index + 1) })),
    spacing && h("span", { class: "mm" }, t("volume.mm", { mm: number(slice.index * spacing) })),
    h("span", { class: `pill ${risk}` }, percent(probability)),
  );
}

function cellsOf({ index, empty, decision }) {
  if (empty) return [number(index + 1), t("volume.empty"), ""];
  if (!decision.in_distribution) return [number(index + 1), t("volume.unfamiliar"), ""];
  return [number(index + 1), t(`many.group.${decision.risk}`), percent(decision.probability)];
}
