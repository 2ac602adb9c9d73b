// A volume: the slices' probabilities, in order of arrival.

import { h } from "./dom.js";
import { percent } from "./texts.js";

export function createVolumeView() {
  const list = h("ol");
  const onSlice = (slice) => list.append(h("li", {}, slice.decision ? percent(slice.decision.probability) : ""));
  const finish = (error) => error && list.append(h("li", {}, error.message));
  return { element: h("div", { class: "panel" }, list), onSlice, finish };
}
