// The three bands of risk, and where in them a probability lies.

export const RISKS = ["low", "medium", "high"];

/** Percent of the bar's width: a third for each band, linear within it; a threshold begins the band above. */
export function position(probability, low, high) {
  const within = (from, to) => (to > from ? (probability - from) / (to - from) : 0);
  if (probability < low) return (100 / 3) * within(0, low);
  if (probability < high) return (100 / 3) * (1 + within(low, high));
  return (100 / 3) * (2 + within(high, 1));
}
