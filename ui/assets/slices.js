// What can be said of the slices of a volume without claiming anything of the whole.

const PEAKS = 6;
const MERGED_MM = 8; // slices so near to a peak show the same thing
const MERGED_SLICES = 3; // where the spacing is not known

/** Slices that the model answers for: neither empty nor unlike the scans it knows. */
export const familiar = (slices) => slices.filter((one) => one.decision?.in_distribution);

/** The slice with the highest probability among those that count; undefined if none does. */
export function highest(slices) {
  const higher = (best, one) => (best && best.decision.probability >= one.decision.probability ? best : one);
  return familiar(slices).reduce(higher, undefined);
}

/** How many slices there are of each kind: by risk, unlike the scans the model knows, empty. */
export function counted(slices) {
  const counts = { high: 0, medium: 0, low: 0, unfamiliar: 0, empty: 0 };
  for (const { empty, decision } of slices.filter(Boolean)) {
    if (empty) counts.empty += 1;
    else if (!decision.in_distribution) counts.unfamiliar += 1;
    else counts[decision.risk] += 1;
  }
  return counts;
}

/**
 * The slices with the highest probabilities, the highest first, neighbours counted as one.
 *
 * @param {object[]} slices
 * @param {{ spacing_mm: ?number }} study
 */
export function peaks(slices, { spacing_mm: spacing }) {
  const near = spacing ? Math.max(1, Math.round(MERGED_MM / spacing)) : MERGED_SLICES;
  const found = [];
  const byProbability = (one, other) => other.decision.probability - one.decision.probability;
  const falling = familiar(slices.filter(Boolean)).toSorted(byProbability);
  for (const one of falling) {
    if (found.length === PEAKS) break;
    if (found.every((peak) => Math.abs(peak.index - one.index) > near)) found.push(one);
  }
  return found;
}
