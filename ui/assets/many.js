// Many files: what each of them is, in one line.

import { reason } from "./api.js";
import { h } from "./dom.js";
import { percent } from "./texts.js";

export function createManyView({ files }) {
  const list = h("ol");
  const onEvent = (event) => {
    if (event.event === "slice") list.append(h("li", {}, percent(event.slice.decision.probability)));
    if (event.event === "refused") list.append(h("li", {}, `${files[event.file].name}: ${reason(event.error)}`));
  };
  const finish = (error) => error && list.append(h("li", {}, error.message));
  return { element: h("div", { class: "panel" }, list), onEvent, finish };
}
