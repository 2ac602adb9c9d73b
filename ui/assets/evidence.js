// What the model saw, and over it where the evidence lies.

import { servedCardOrNull } from "./cards.js";
import { h } from "./dom.js";
import { number, t } from "./texts.js";
import { ofHundred } from "./verdict.js";

const SHOWN = 45; // per cent of the map at first: strong enough to see, thin enough to see through

let last = 0; // for names that no other figure on the page has

/** The prepared picture; with `map`, the evidence over it and a slider for how much of it shows. */
export function evidenceFigure(slice, model, { map = true } = {}) {
  const scan = h("img", { class: "scan", src: slice.picture, alt: t("map.scan"), width: 224, height: 224 });
  if (!map || !slice.overlay)
    return h("figure", { class: "evidence" }, h("div", { class: "stack" }, scan), h("figcaption", {}, t("map.seen")));
  const overlay = h("img", { class: "map", src: slice.overlay, alt: t("map.alt"), width: 224, height: 224 });
  const hits = h("span");
  servedCardOrNull(model.model.version).then((card) => {
    const rate = card?.evidence_map?.hit_rate?.value;
    if (typeof rate === "number") hits.textContent = ` ${t("map.hits", { count: ofHundred(rate) })}`;
  });
  return h("figure", { class: "evidence" },
    h("div", { class: "pictures" },
      h("img", { class: "scan plain", src: slice.picture, alt: "", width: 224, height: 224 }), // on paper no slider takes the map off
      h("div", { class: "stack" }, scan, overlay)),
    opacityControl(overlay),
    h("figcaption", {}, t("map.seen"), " ", t("map.what"), hits));
}

/** A slider for how much of a map shows. */
export function opacityControl(map) {
  const id = `map-opacity-${++last}`;
  const shown = h("output", { for: id });
  const slider = h("input", { id, type: "range", min: 0, max: 100, step: 5, value: SHOWN });
  const apply = () => {
    map.style.opacity = slider.value / 100;
    shown.textContent = t("percent", { value: number(Number(slider.value)) });
  };
  slider.addEventListener("input", apply);
  apply();
  return h("div", { class: "opacity" }, h("label", { for: id }, t("map.opacity")), shown, slider);
}
