// How many files become requests: stills a few at a time, so that answers come soon and one refusal costs
// little; everything else together, for the slices of a series belong together.

import { number, t } from "./texts.js";

const MIB = 2 ** 20;
const MAX_STILLS = 200; // of one run
const STILLS = 16; // of one request, as many as the server asks the model about at once
const STILLS_BYTES = 32 * MIB;

/** Whether a file is one picture, to judge by its name; the server looks at its content. */
export const isStill = (file) => /\.(png|jpe?g|webp)$/i.test(file.name);

/**
 * Why so many files cannot be sent, a sentence; null if they can.
 *
 * @param {File[]} files
 * @param {{ files: number, request_mb: number }} limits as the server tells them
 */
export function tooMuch(files, limits) {
  const [stills, others] = divided(files);
  const bytes = sum(others.map((place) => files[place].size));
  if (stills.length > MAX_STILLS) {
    return t("many.too_many_stills", { count: number(stills.length), most: number(MAX_STILLS) });
  }
  if (others.length > limits.files) {
    return t("many.too_many_others", { count: number(others.length), most: number(limits.files) });
  }
  if (bytes > limits.request_mb * MIB) {
    return t("many.too_many_bytes", { size: number(Math.ceil(bytes / MIB)), most: number(limits.request_mb) });
  }
  return null;
}

/**
 * The requests to make, one after another: each a list of places in `files`, and whether all of it is stills.
 *
 * @param {File[]} files
 * @param {{ file_mb: number }} limits as the server tells them
 * @returns {{ requests: { places: number[], stills: boolean }[], tooLarge: number[] }} `tooLarge` need no sending
 */
export function requestsOf(files, limits) {
  const [stills, others] = divided(files);
  const requests = [];
  const tooLarge = stills.filter((place) => files[place].size > limits.file_mb * MIB);
  let request = null;
  let bytes = 0;
  for (const place of stills.filter((one) => !tooLarge.includes(one))) {
    const { size } = files[place];
    if (!request || request.places.length === STILLS || bytes + size > STILLS_BYTES) {
      requests.push((request = { places: [], stills: true }));
      bytes = 0;
    }
    request.places.push(place);
    bytes += size;
  }
  if (others.length) requests.push({ places: others, stills: false });
  return { requests, tooLarge };
}

function divided(files) {
  const stills = [];
  const others = [];
  files.forEach((file, place) => (isStill(file) ? stills : others).push(place));
  return [stills, others];
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
