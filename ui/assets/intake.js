// The ways in: drop, paste, choose, a whole folder, the camera.

import { h } from "./dom.js";
import { ACCEPT, droppedFiles, pastedFiles, scansOf } from "./files.js";
import { t } from "./texts.js";

/**
 * The drop zone with its buttons.
 *
 * `choose(files)` hears what was given, a promise of files or a list of them.
 */
export function createIntake({ choose }) {
  const files = picker({ multiple: true, accept: ACCEPT, "aria-label": t("drop.choose") }, choose);
  const zone = h("label", { class: "drop" }, files,
    h("span", {}, h("strong", {}, t("drop.here")), " ", t("drop.or")),
    h("span", { class: "hint" }, t("drop.formats")),
  );
  const folder = picker({ webkitdirectory: true, "aria-label": t("drop.folder") }, (found) => choose(scansOf(found)));
  const others = h("div", { class: "ways" }, labelled(folder, t("drop.folder")));
  if (matchMedia("(pointer: coarse)").matches) {
    const camera = picker({ accept: "image/*", capture: "environment", "aria-label": t("drop.camera") }, choose);
    others.append(labelled(camera, t("drop.camera")));
  }
  listen(zone, choose);
  return h("section", { class: "intake", "aria-labelledby": "intake-title" },
    h("h2", { id: "intake-title", class: "sr-only" }, t("drop.title")), zone, others);
}

function picker(attributes, choose) {
  const input = h("input", { type: "file", ...attributes });
  input.addEventListener("change", () => {
    const chosen = [...input.files];
    input.value = ""; // so that the same file can be chosen again
    if (chosen.length) choose(chosen);
  });
  return input;
}

const labelled = (input, text) => h("label", { class: "button" }, input, h("span", {}, text));

/** A drop counts wherever on the page it falls: one beside the zone would make the browser leave the page. */
function listen(zone, choose) {
  const shown = () => zone.offsetParent !== null; // not while another tab is open
  let depth = 0;
  const over = (entered) => zone.classList.toggle("over", (depth = Math.max(0, depth + entered)) > 0);
  document.addEventListener("dragenter", () => over(1));
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    if (shown()) choose(droppedFiles(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    const files = pastedFiles(event.clipboardData);
    if (!files.length || !shown()) return;
    event.preventDefault();
    choose(files);
  });
}
