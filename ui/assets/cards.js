// Model cards of versions that answer, each asked for once: a version never changes.

import { getOnce } from "./api.js";

/** A promise of the version's card. */
export const servedCard = (version) => getOnce(`api/v1/model/${version}`);

/** The same, or null where it cannot be had: an answer stands without it. */
export const servedCardOrNull = (version) => servedCard(version).catch(() => null);
