// One scan out of many, over the table: a window of its own, with the way to the scan before and after.

import { answerPanel } from "./answer.js";
import { h } from "./dom.js";
import { namesOf } from "./rows.js";
import { t } from "./texts.js";
import { createVolumeView } from "./volume.js";

/**
 * The window, closed.
 *
 * @param {() => import("./rows.js").Row[]} listed the rows to walk through, in the table's order
 * @returns {{ element: HTMLDialogElement, show: Function, onSlice: Function, finish: Function }} `show(row)` opens it;
 *   `onSlice(row, slice)` and `finish()` tell what comes while a volume is shown
 */
export function createDetail(listed) {
  let shown = null;
  let volume = null;
  let running = true;
  const title = h("h2", { id: "detail-title" });
  const place = h("p", { class: "hint" });
  const answered = () => listed().filter((row) => row.slices.length);
  const step = (by) => {
    const rows = answered();
    const next = rows[rows.indexOf(shown) + by];
    if (next) show(next);
  };
  const button = (name, onclick) => h("button", { type: "button", class: "button", onclick }, t(`many.detail.${name}`));
  const previous = button("previous", () => step(-1));
  const next = button("next", () => step(1));
  // A link out of the panel leads to another tab, which the window would cover.
  const content = h("div", { class: "content", onclick: (event) => event.target.closest(".link") && element.close() });
  const element = h(
    "dialog",
    { class: "detail", "aria-labelledby": "detail-title", onclick: (event) => beside(event), onclose: () => forget() },
    h(
      "div",
      { class: "sheet" },
      h(
        "div",
        { class: "top" },
        h("div", { class: "words" }, title, place),
        h("div", { class: "actions" }, previous, next, button("close", () => element.close())),
      ),
      content,
    ),
  );

  const show = (row) => {
    shown = row;
    const rows = answered();
    const at = rows.indexOf(row);
    title.textContent = namesOf(row).name;
    place.textContent = t("many.detail.place", { place: at + 1, total: rows.length });
    previous.disabled = at <= 0;
    next.disabled = at === rows.length - 1;
    volume = null;
    if (row.study.kind === "volume" && row.model) {
      volume = createVolumeView(row);
      row.slices.forEach(volume.onSlice);
      if (!running || row.slices.length === row.study.length) volume.finish(null);
    }
    content.replaceChildren(volume?.element ?? answerPanel({ slice: row.slices[0], model: row.model }));
    element.scrollTop = 0;
    if (!element.open) element.showModal();
  };

  const beside = (event) => event.target === element && element.close();
  const forget = () => {
    shown = volume = null;
    content.replaceChildren();
  };

  const onSlice = (row, slice) => {
    if (row !== shown || !volume) return;
    volume.onSlice(slice);
    if (row.slices.length === row.study.length) volume.finish(null);
  };

  const finish = () => {
    running = false;
    volume?.finish(null);
  };
  return { element, show, onSlice, finish };
}
