// One place to give scans, one place for the answer, and the answers of the session.

import { answerActions } from "./actions.js";
import { answerPanel } from "./answer.js";
import { getOnce } from "./api.js";
import { h } from "./dom.js";
import { createHistory } from "./history.js";
import { createIntake } from "./intake.js";
import { errorPanel, idlePanel } from "./panels.js";
import { run } from "./run.js";
import { createSamples } from "./samples.js";
import { t } from "./texts.js";
import { spoken } from "./verdict.js";

/** Fill the tab. */
export function mount(element) {
  getOnce("api/v1/limits"); // the first scan need not wait for them
  const outcome = h("section", { id: "answer", "aria-label": t("answer.region") }, idlePanel());
  const status = h("p", { class: "sr-only", role: "status" });
  let running = new AbortController();

  /** Show in the answer's place. Whatever still runs was for another choice. */
  const show = (shown, { wide = false } = {}) => {
    outcome.replaceChildren(...[shown].flat());
    frame.classList.toggle("wide", wide);
    if (matchMedia("(max-width: 760px)").matches) outcome.scrollIntoView();
  };
  const supersede = () => {
    running.abort();
    running = new AbortController();
    return running.signal;
  };

  const panelOf = (entry) => answerPanel({ ...entry, actions: entry.file ? answerActions(entry) : null });
  const history = createHistory({
    show: (entry) => (supersede(), show(panelOf(entry)), say(entry)),
    compare: (...two) => (supersede(), show(comparison(two), { wide: true })),
  });
  const say = ({ slice }) => (status.textContent = spoken(slice.decision));

  /** Analyse files, a promise of them, or what `take(signal)` promises. */
  const choose = async (given) => {
    const signal = supersede();
    status.textContent = t("run.reading");
    const answered = (answer) => {
      show(panelOf(answer));
      say(answer);
      history.add(answer);
    };
    try {
      const files = await (typeof given === "function" ? given(signal) : given);
      if (signal.aborted) return;
      if (!files.length) throw new Error(t("error.no_files"));
      await run(files, { signal, show, answered });
    } catch (error) {
      if (!signal.aborted) show(errorPanel(error.message));
    }
    if (!signal.aborted && status.textContent === t("run.reading")) status.textContent = "";
  };

  const frame = h("div", { class: "analyse" },
    h("div", { class: "giving" }, createIntake({ choose })), outcome, createSamples({ choose }), history.element, status);
  element.append(frame);
}

function comparison(two) {
  return h("div", { class: "comparison" }, two.map((entry) =>
    h("section", { "aria-label": t("history.scan", { number: entry.number }) },
      h("p", { class: "eyebrow" }, t("history.scan", { number: entry.number })), answerPanel({ ...entry, brief: true }))));
}
