// The three bands of risk, and where in them a probability lies.

export const RISKS = ["low", "medium", "high"];

/** How far along a probability lies, 0..1, where each band has a third: both thresholds show wherever they lie. */
export function position(probability, { low, high }) {
  const [from, to, band] = probability < low ? [0, low, 0] : probability < high ? [low, high, 1] : [high, 1, 2];
  return (band + (probability - from) / (to - from || 1)) / 3;
}
