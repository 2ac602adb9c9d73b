// Model cards by version, each asked for once.

import { get } from "./api.js";

const cards = new Map();

/** A promise of the version's card, or of null where it cannot be had: an answer stands without it. */
export function cardOf(version) {
  if (!cards.has(version)) {
    const asked = get(`api/v1/model/${version}`).catch(() => {
      cards.delete(version);
      return null;
    });
    cards.set(version, asked);
  }
  return cards.get(version);
}
