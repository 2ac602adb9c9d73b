// One place to give files, one place for the answer.

import { analyseAll } from "./analyse_all.js";
import { h } from "./dom.js";
import { createManyView } from "./many.js";
import { createVolumeView } from "./volume.js";

export function mount(element) {
  const detail = h("div", { id: "detail" });
  const out = h("div", { id: "answer" });
  const input = h("input", { type: "file", multiple: true });
  let running = null;
  const open = (study, slices, model) => {
    if (study.kind !== "volume") return detail.replaceChildren(h("pre", {}, JSON.stringify(slices[0].decision)));
    const view = createVolumeView({ study, model });
    detail.replaceChildren(view.element);
    slices.forEach(view.onSlice);
    view.finish(null);
  };
  input.addEventListener("change", async () => {
    running?.abort();
    const abort = (running = new AbortController());
    const files = [...input.files];
    const view = createManyView({ files, open, stop: () => abort.abort() });
    detail.replaceChildren();
    out.replaceChildren(view.element);
    let alone = null;
    const events = [];
    const onEvent = (event) => {
      view.onEvent(event);
      events.push(event);
      const model = events.find((one) => one.event === "model");
      const studies = events.filter((one) => one.event === "study");
      if (event.event === "slice" && files.length === 1 && studies.length === 1 && studies[0].kind === "volume") {
        if (!alone) {
          alone = createVolumeView({ study: studies[0], model });
          out.replaceChildren(alone.element);
        }
        alone.onSlice(event.slice);
      }
    };
    try {
      await analyseAll(files, { onEvent, onUpload: view.onUpload, signal: abort.signal });
      view.finish(null);
      alone?.finish(null);
    } catch (error) {
      view.finish(error);
      alone?.finish(error);
    }
  });
  element.append(h("div", { id: "scan" }, input), detail, out);
}
