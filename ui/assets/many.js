// Many scans at once: how far it is, answers that come in, and another try for those that did not.

import { analyseAll } from "./analyse_all.js";
import { h } from "./dom.js";
import { isStill } from "./requests.js";
import { createResults } from "./results.js";
import { groupOf, isComplete, Rows } from "./rows.js";
import { number, percent, t } from "./texts.js";

const SUMMED = ["high", "medium", "low", "refused", "unanswered"];
/** Of the way between two sentences for screen readers: every answer would be too much to hear. */
const SPOKEN_STEPS = 4;

/**
 * The view of a run over several files or an archive.
 *
 * @param {object} options
 * @param {File[]} options.files those sent
 * @param {() => void} [options.stop] ends the run; without it there is no such button
 * @returns {{ element: HTMLElement, onEvent: Function, onUpload: Function, finish: Function }} `onEvent` takes
 *   the events of `analyseAll`, `onUpload` the share sent, `finish` null or the error that ended the run
 */
export function createManyView({ files, stop = null }) {
  const rows = new Rows(files);
  const total = files.every(isStill) ? files.length : null; // what is in an archive shows on the way
  const state = { running: true, error: null, hint: "", ends: stop };
  let drawing = null;

  const words = h("h2", { tabindex: -1 });
  const hint = h("p", { class: "hint" });
  const spoken = h("p", { class: "sr-only", role: "status" });
  const bar = h("progress", { max: 1, "aria-label": t("many.progress.label") });
  const failure = h("p", { class: "failure", role: "alert", hidden: true });
  const stopButton = h("button", { type: "button", class: "button", onclick: () => state.ends() }, t("many.stop"));
  const againButton = h("button", { type: "button", class: "button main", onclick: () => sendAgain(left()) });
  const results = createResults(rows);
  const element = h(
    "section",
    { class: "many", "aria-label": t("many.caption") },
    h(
      "div",
      { class: "progress" },
      h("div", { class: "words" }, words, hint, spoken),
      h("div", { class: "actions" }, stopButton, againButton),
    ),
    bar,
    failure,
    results.element,
  );

  const draw = () => {
    drawing = null;
    results.draw();
    tellProgress();
  };

  const tellProgress = () => {
    const done = rows.all.filter(isComplete).length;
    const places = { done: number(done), total: number(total ?? rows.all.length) };
    words.textContent = wordsOf(done, places);
    hint.textContent = state.running ? state.hint : summaryOf(rows.all.map(groupOf));
    hint.hidden = !hint.textContent;
    bar.hidden = !state.running;
    if (total === null) bar.removeAttribute("value");
    else bar.value = done / total;
    const step = total === null ? 0 : Math.floor((done / total) * SPOKEN_STEPS);
    const sentence = state.running && step === 0 ? "" : `${words.textContent}. ${hint.textContent}`;
    if (!state.running || (step > (state.step ?? 0))) spoken.textContent = sentence;
    state.step = step;
    stopButton.hidden = !state.running || !state.ends;
    const { length } = left();
    againButton.hidden = !length;
    const [one, several] = rows.again.length ? ["many.again_one", "many.again"] : ["many.rest_one", "many.rest"];
    againButton.textContent = t(length === 1 ? one : several, { count: number(length) });
    failure.hidden = !state.error || state.error.name === "AbortError";
    failure.textContent = failure.hidden ? "" : state.error.message;
  };

  const wordsOf = (done, places) => {
    if (state.running) return t(total === null ? "many.progress.open" : "many.progress", places);
    if (state.error?.name === "AbortError") return t(total === null ? "many.stopped.open" : "many.stopped", places);
    if (state.error) return t("many.failed", places);
    return t(done === 1 ? "many.done_one" : "many.done", places);
  };

  /** Files that may be sent now; those of a series have no rows of their own, so stills alone are known to lack. */
  const left = () => (state.running ? [] : [...rows.again, ...(state.error && total !== null ? rows.untold : [])]);

  const soon = () => { drawing ??= requestAnimationFrame(draw); };

  const onEvent = (event) => {
    state.hint = event.event === "waiting" ? t("many.waiting", { seconds: number(event.seconds) }) : "";
    const row = rows.add(event);
    if (event.event === "slice") results.onSlice(row, event.slice);
    soon();
  };

  const onUpload = (share) => {
    if (rows.all.length) return;
    state.hint = t("many.sending", { percent: percent(share) });
    soon();
  };

  const finish = (error = null) => {
    const pressed = document.activeElement === stopButton; // it is about to go, and the focus with it
    Object.assign(state, { running: false, error, hint: "" });
    results.finish();
    draw();
    if (pressed) words.focus();
  };

  const sendAgain = async (places) => {
    const abort = new AbortController();
    const first = rows.nextStudy;
    rows.drop(places);
    Object.assign(state, { running: true, error: null, step: 0, ends: () => abort.abort() });
    draw();
    stopButton.focus();
    const moved = (event) => ({
      ...event,
      ...("file" in event && { file: places[event.file] }),
      ...("study" in event && { study: first + event.study }),
      ...(event.again && { again: event.again.map((place) => places[place]) }),
    });
    try {
      const sent = places.map((place) => files[place]);
      await analyseAll(sent, { onEvent: (event) => onEvent(moved(event)), signal: abort.signal });
      finish();
    } catch (error) {
      finish(error);
    }
    words.focus();
  };

  draw();
  return { element, onEvent, onUpload, finish };
}

function summaryOf(groups) {
  const counts = SUMMED.map((name) => [name, groups.filter((group) => group === name).length]);
  const said = counts.filter(([, count]) => count);
  return said.map(([name, count]) => t(`many.summary.${name}`, { count: number(count) })).join(", ");
}
