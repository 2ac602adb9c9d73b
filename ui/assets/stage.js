// One slice of a volume: as the model saw it, the evidence over it, and what the model says of it.

import { reason } from "./api.js";
import { h } from "./dom.js";
import { opacityControl } from "./evidence.js";
import { number, percent, t } from "./texts.js";

/**
 * A place to show the slices of a volume, one at a time.
 *
 * @param {{ length: number, spacing_mm: ?number }} study
 * @returns {{ element: HTMLElement, show: (slice: ?object, index: number) => string }} `show` returns what it
 *   shows in words; a slice that is not answered yet is undefined
 */
export function createStage(study) {
  const picture = h("img", { class: "picture", width: 224, height: 224 });
  const map = h("img", { class: "map", alt: "", width: 224, height: 224 });
  const place = h("h3");
  const verdict = h("p", { class: "verdict" });
  const notes = h("ul", { class: "notes" });
  const control = opacityControl(map);
  const hint = h("p", { class: "hint" }, t("map.what"));
  const element = h(
    "div",
    { class: "stage" },
    h("figure", {}, h("div", { class: "frame" }, picture, map), control),
    h("div", { class: "said" }, place, verdict, notes, hint),
  );

  const show = (slice, index) => {
    const familiar = Boolean(slice?.decision?.in_distribution);
    place.textContent = placeOf(study, index);
    verdict.replaceChildren(...saidOf(slice, familiar));
    notes.replaceChildren(...(familiar ? slice.warnings : []).map((each) => h("li", {}, reason(each))));
    picture.hidden = !slice?.picture;
    if (slice?.picture) picture.src = slice.picture;
    picture.alt = t("volume.picture", { place: place.textContent });
    map.hidden = !familiar || !slice.overlay;
    if (!map.hidden) map.src = slice.overlay;
    control.hidden = hint.hidden = map.hidden;
    return `${place.textContent}: ${verdict.textContent}`;
  };
  return { element, show };
}

function placeOf({ length, spacing_mm: spacing }, index) {
  const places = { slice: number(index + 1), total: number(length), mm: spacing && number(index * spacing) };
  return t(spacing ? "volume.place_mm" : "volume.place", places);
}

function saidOf(slice, familiar) {
  if (!slice) return [t("volume.pending")];
  if (slice.empty) return [t("volume.empty_said")];
  if (!familiar) return [t("volume.unfamiliar_said")];
  const { risk, probability } = slice.decision;
  const pill = h("span", { class: `pill ${risk}` }, t(`volume.band.${risk}`));
  return [pill, " ", t("volume.probability", { percent: percent(probability) })];
}
