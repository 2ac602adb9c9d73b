// Model cards of versions that answer, each asked for once: a version never changes.

import { get } from "./api.js";

const cards = new Map();

/** A promise of the version's card; one that fails is asked for again the next time. */
export function servedCard(version) {
  if (!cards.has(version)) {
    const asked = get(`api/v1/model/${version}`);
    asked.catch(() => cards.delete(version));
    cards.set(version, asked);
  }
  return cards.get(version);
}

/** The same, or null where it cannot be had: an answer stands without it. */
export const cardOf = (version) => servedCard(version).catch(() => null);
