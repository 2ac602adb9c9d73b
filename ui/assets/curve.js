// The risk along a volume as a drawing, as high as on the risk bar far along; a gap where a slice is empty or unlike the scans that the model knows.

import { svg } from "./dom.js";
import { position } from "./risk_zones.js";
import { number, percent, t } from "./texts.js";

const HEIGHT = 220;
const MARGIN = { left: 58, right: 26, top: 10, bottom: 42 };
const NEAREST_TICKS = 52; // pixels between numbers on the axis

/**
 * The curve of a volume, without a slice to begin with.
 *
 * @param {{ length: number, spacing_mm: ?number }} study
 * @param {{ low: number, high: number }} thresholds
 * @param {(index: number) => void} onPoint the pointer is at a slice
 * @returns {{ element: SVGElement, draw: (slices: object[], at: number, width: number, words: string) => void }}
 *   `slices` by their index, `at` the one shown, `words` what it shows, for who does not see it
 */
export function createCurve(study, thresholds, onPoint) {
  const element = svg("svg", { class: "curve", role: "img", height: HEIGHT });
  let plot = null;

  const point = (event) => {
    if (event.type === "pointermove" && event.pointerType === "touch" && !event.buttons) return;
    const { left } = element.getBoundingClientRect();
    const share = (event.clientX - left - plot.left) / plot.width;
    onPoint(Math.min(study.length - 1, Math.max(0, Math.round(share * (study.length - 1)))));
  };
  element.addEventListener("pointermove", point);
  element.addEventListener("pointerdown", point);

  const draw = (slices, at, width, words) => {
    plot = { left: MARGIN.left, width: Math.max(1, width - MARGIN.left - MARGIN.right) };
    const bottom = HEIGHT - MARGIN.bottom;
    const x = (index) => plot.left + (study.length > 1 ? index / (study.length - 1) : 0.5) * plot.width;
    const y = (probability) => bottom - position(probability, thresholds) * (bottom - MARGIN.top);
    element.setAttribute("width", width);
    element.setAttribute("aria-label", words);
    element.replaceChildren(
      ...zones(plot, y, thresholds),
      ...ticks(study, plot, bottom, x),
      ...gaps(slices, study.length, x, bottom),
      ...lines(slices, study.length, x, y),
      ...names(plot, y, thresholds),
      ...marker(slices[at], x(at), y, bottom),
    );
  };
  return { element, draw };
}

const bandsOf = ({ low, high }) => [["high", high, 1], ["medium", low, high], ["low", 0, low]];

function zones({ left, width }, y, thresholds) {
  const { low, high } = thresholds;
  const tinted = bandsOf(thresholds).map(([risk, from, to]) =>
    svg("rect", { class: `zone ${risk}`, x: left, y: y(to), width, height: y(from) - y(to) }),
  );
  const lines = [low, high].map((level) =>
    svg("line", { class: "threshold", x1: left, x2: left + width, y1: y(level), y2: y(level) }),
  );
  const ends = [[0, t("percent", { value: 0 }), "0"], [1, t("percent", { value: 100 }), ".7em"]];
  const levels = [...ends, ...[low, high].map((level) => [level, percent(level), ".35em"])];
  const scale = levels.map(([level, words, dy]) => svg("text", { class: "level", x: left - 8, y: y(level), dy }, words));
  return [...tinted, ...lines, ...scale];
}

/** What the bands are called, over the curve that may cross them. */
const names = ({ left }, y, thresholds) =>
  bandsOf(thresholds).map(([risk, from, to]) =>
    svg("text", { class: "band", x: left + 8, y: (y(from) + y(to)) / 2, dy: ".35em" }, t(`volume.band.${risk}`)),
  );

/** Numbers of slices, from 1, with millimetres under them where the file tells. */
function ticks({ length, spacing_mm: spacing }, { width }, bottom, x) {
  const most = Math.max(2, Math.floor(width / NEAREST_TICKS));
  const step = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500].find((one) => length / one <= most) ?? length;
  const places = [0];
  for (let slice = step; slice <= length; slice += step) if (slice > 1) places.push(slice - 1);
  if (places.length > 1 && places[1] - places[0] < step / 2) places.splice(1, 1);
  return places.map((index) =>
    svg(
      "g",
      { class: "tick" },
      svg("line", { x1: x(index), x2: x(index), y1: bottom, y2: bottom + 5 }),
      svg("text", { x: x(index), y: bottom + 18 }, number(index + 1)),
      spacing && svg("text", { x: x(index), y: bottom + 34 }, t("volume.mm", { mm: number(index * spacing) })),
    ),
  );
}

/** What has no figure: a quiet line along the bottom, half a slice to either side. */
function gaps(slices, length, x, bottom) {
  const unsaid = slices.filter((one) => one && !one.decision?.in_distribution);
  return unsaid.map(({ index }) => {
    const [from, to] = [x(Math.max(0, index - 0.5)), x(Math.min(length - 1, index + 0.5))];
    return svg("rect", { class: "gap", x: from, y: bottom - 4, width: to - from, height: 4 });
  });
}

/** The curve, broken where there is no figure, and a dot for each slice while there is room. */
function lines(slices, length, x, y) {
  const runs = [[]];
  for (let index = 0; index < length; index += 1) {
    const decision = slices[index]?.decision;
    if (decision?.in_distribution) runs.at(-1).push([x(index), y(decision.probability)]);
    else if (runs.at(-1).length) runs.push([]);
  }
  const pointsOf = (run) => run.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ");
  const paths = runs.filter((run) => run.length > 1).map((run) => svg("polyline", { class: "line", points: pointsOf(run) }));
  const radius = x(1) - x(0) > 6 ? 2.5 : 1.5;
  const dots = runs.flat().map(([cx, cy]) => svg("circle", { class: "dot", cx, cy, r: radius }));
  return [...paths, ...dots];
}

function marker(slice, x, y, bottom) {
  const line = svg("line", { class: "at", x1: x, x2: x, y1: MARGIN.top, y2: bottom });
  const decision = slice?.decision;
  if (!decision?.in_distribution) return [line];
  return [line, svg("circle", { class: "at", cx: x, cy: y(decision.probability), r: 5.5 })];
}
