// One run: files to the server, and the view that fits what comes back.

import { analyseAll } from "./analyse_all.js";
import { reason, Refused } from "./api.js";
import { createManyView } from "./many.js";
import { errorPanel, readingPanel } from "./panels.js";
import { number, t } from "./texts.js";
import { createVolumeView } from "./volume.js";

/**
 * Analyse files and show what comes of it through `show(element, { wide })`.
 *
 * `answered({ file, slice, model, latency })` is told of the answer to a single image. Rejects with an
 * `AbortError` on `signal`, and then shows nothing more.
 */
export async function run(files, { signal, show, answered }) {
  const reading = readingPanel();
  show(reading.element);
  const began = performance.now();
  const seen = { files, events: [], studies: [], refused: [], model: null, slices: [], latency: null, failure: null };
  let view = null;
  const halt = new AbortController(); // what came so far stays, unlike on `signal`
  signal.addEventListener("abort", () => halt.abort());
  seen.stop = () => halt.abort();

  const onUpload = (share) => {
    reading.say(share < 1 ? t("run.uploading", { share: number(Math.floor(share * 100)) }) : t("run.reading"));
    view?.onUpload?.(share);
  };
  const onEvent = (event) => {
    if (signal.aborted) return;
    if (event.again && view?.kind === "volume") return void (seen.failure = new Refused(event.error));
    record(seen, event);
    if (event.event === "waiting") reading.say(t("many.waiting", { seconds: number(event.seconds) }));
    const kind = kindOf(seen);
    if (kind !== view?.kind) {
      view = VIEWS[kind]?.(seen) ?? null;
      if (view) show(view.element, { wide: true });
      seen.events.forEach((each) => view?.onEvent(each));
    } else view?.onEvent(event);
  };

  try {
    await analyseAll(files, { onEvent, onUpload, signal: halt.signal });
  } catch (error) {
    if (signal.aborted) throw error;
    if (view) view.finish(error);
    else show(errorPanel(error.message));
    return;
  }
  if (view) return view.finish(seen.failure);
  const [slice] = seen.slices;
  if (!slice) return show(errorPanel(seen.refused.length ? reason(seen.refused[0].error) : t("error.nothing")));
  const total = performance.now() - began;
  answered({ file: files[0], slice, model: seen.model, latency: { ...seen.latency, total } });
}

const VIEWS = {
  many({ files, stop }) {
    return { kind: "many", ...createManyView({ files, stop }) };
  },
  volume({ studies: [study], model, stop }) {
    const view = createVolumeView({ study, model, stop });
    const onEvent = (event) => event.event === "slice" && view.onSlice(event.slice);
    return { kind: "volume", element: view.element, onEvent, finish: view.finish };
  },
};

/** Which view fits what is known so far: one volume, many, or none yet, as for a single image. */
function kindOf({ files, studies, refused, model }) {
  const [first, ...others] = studies;
  if (first?.kind === "volume" && !others.length && !refused.length) return model ? "volume" : undefined;
  const parts = others.length || first?.member || refused[0]?.member;
  return files.length > 1 || parts ? "many" : undefined;
}

function record(seen, event) {
  seen.events.push(event);
  if (event.event === "study") seen.studies.push(event);
  if (event.event === "refused") seen.refused.push(event);
  if (event.event === "model") seen.model = event;
  if (event.event === "slice") seen.slices.push(event.slice);
  if (event.event === "end") seen.latency = event.latency_ms;
}
