// Cleared scans to try the page with.

import { ask, get } from "./api.js";
import { h } from "./dom.js";
import { t } from "./texts.js";

/** The gallery; stays empty where no samples are installed. `choose(take)` hears `take(signal)`, a promise of files. */
export function createSamples({ choose }) {
  const element = h("section", { id: "samples", "aria-labelledby": "samples-title", hidden: true });
  get("page/samples").then(({ samples, attribution }) => {
    if (!samples.length) return;
    element.append(
      h("h2", { id: "samples-title" }, t("samples.title")),
      h("ul", { class: "gallery" }, samples.map((sample) => h("li", {}, button(sample, choose)))),
      h("p", { class: "attribution" }, t("samples.attribution"), " ", attribution));
    element.hidden = false;
  }, () => {}); // the page works without them
  return element;
}

function button({ id, kind, thumbnail }, choose) {
  return h("button", { type: "button", onclick: () => choose((signal) => fetchSample(id, signal)) },
    h("img", { src: thumbnail, alt: "", width: 128, height: 128 }),
    h("span", {}, t(`samples.${kind}`)));
}

async function fetchSample(id, signal) {
  const response = await ask(`page/samples/${id}`, { signal });
  return [new File([await response.blob()], "sample.jpg", { type: "image/jpeg" })];
}
