// Dots with their intervals on one scale, a row of them for each row of a table, as medicine draws its forest plots.

import { svg } from "./dom.js";
import { bounded, figure, measured, spoken } from "./figures.js";
import { number } from "./texts.js";

/** The AUC of a coin is 0.5; nothing here lies far below it. */
const FROM = 0.35;
const TO = 1;
const TICKS = [0.5, 0.75, 1];
const LANE = 15;

const at = (value) => `${((Math.min(Math.max(value, FROM), TO) - FROM) / (TO - FROM)) * 100}%`;

/** The scale alone, to stand above the rows. */
export function scale() {
  return svg("svg", { class: "forest scale", height: 18, "aria-hidden": "true" }, ticks(13));
}

/**
 * One row.
 *
 * @param {{ kind: string, name: string, figure: object }[]} dots kind: "now", "before" or "floor"
 */
export function forestRow(dots) {
  const shown = dots.filter((dot) => measured(dot.figure));
  if (!shown.length) return figure(dots[0].figure);
  const height = LANE * shown.length + 6;
  const label = shown.map((dot) => `${dot.name} ${spoken(dot.figure)}`).join("; ");
  return svg("svg", { class: "forest row", height: height + 16, role: "img", "aria-label": label },
    TICKS.map((tick) => svg("line", { class: tick === 0.5 ? "chance" : "grid", x1: at(tick), x2: at(tick), y1: 0, y2: height })),
    shown.map((dot, lane) => series(dot, LANE * lane + LANE / 2 + 3)),
    svg("g", { class: "own-ticks" }, ticks(height + 13)));
}

/** The mark of a series, for the legend. */
export function mark(kind) {
  return svg("svg", { class: "forest mark", width: 14, height: 14, "aria-hidden": "true" }, symbol(kind, "50%", 7));
}

function series({ kind, figure: { value, ...ends } }, y) {
  const interval = bounded(ends) && svg("line", { class: `bar ${kind}`, x1: at(ends.low), x2: at(ends.high), y1: y, y2: y });
  return svg("g", {}, interval, symbol(kind, at(value), y));
}

/** Told apart by shape as well as by colour. */
function symbol(kind, x, y) {
  const shape = { now: () => svg("circle", { r: 5 }), before: () => svg("circle", { r: 4.2 }), floor: () => svg("path", { d: "M0-5.5 5.5 0 0 5.5-5.5 0Z" }) };
  return svg("svg", { x, y, overflow: "visible", class: `symbol ${kind}`, "aria-hidden": "true" }, shape[kind]());
}

function ticks(y) {
  return TICKS.map((tick) => svg("text", { x: at(tick), y, "text-anchor": tick === TO ? "end" : "middle" }, number(tick, 2)));
}
