// How many files become requests: stills a few at a time, so that answers come soon and one refusal costs
// little; everything else together, for the slices of a series belong together.

import { number, t } from "./texts.js";

const MIB = 2 ** 20;
export const MAX_STILLS = 200;
const MAX_OTHERS = 1000; // of one request, as the server has it
const MAX_STILL_BYTES = 16 * MIB;
const MAX_REQUEST_BYTES = 256 * MIB;
const PARCEL_FILES = 16;
const PARCEL_BYTES = 32 * MIB;

/** Whether a file is one picture, to judge by its name; the server looks at its content. */
export const isStill = (file) => /\.(png|jpe?g|webp)$/i.test(file.name);

/**
 * Why so many files cannot be sent, a sentence; null if they can.
 *
 * @param {File[]} files
 */
export function tooMuch(files) {
  const [stills, others] = divided(files);
  const bytes = sum(others.map((place) => files[place].size));
  if (stills.length > MAX_STILLS) {
    return t("many.too_many_stills", { count: number(stills.length), most: number(MAX_STILLS) });
  }
  if (others.length > MAX_OTHERS) {
    return t("many.too_many_others", { count: number(others.length), most: number(MAX_OTHERS) });
  }
  if (bytes > MAX_REQUEST_BYTES) {
    return t("many.too_many_bytes", { size: number(Math.ceil(bytes / MIB)), most: MAX_REQUEST_BYTES / MIB });
  }
  return null;
}

/**
 * The requests to make, one after another: each a list of places in `files`, and whether all of it is stills.
 *
 * @param {File[]} files
 * @returns {{ parcels: { places: number[], stills: boolean }[], tooLarge: number[] }} `tooLarge` need no sending
 */
export function parcelsOf(files) {
  const [stills, others] = divided(files);
  const parcels = [];
  const tooLarge = stills.filter((place) => files[place].size > MAX_STILL_BYTES);
  let parcel = null;
  let bytes = 0;
  for (const place of stills.filter((one) => !tooLarge.includes(one))) {
    const { size } = files[place];
    if (!parcel || parcel.places.length === PARCEL_FILES || bytes + size > PARCEL_BYTES) {
      parcels.push((parcel = { places: [], stills: true }));
      bytes = 0;
    }
    parcel.places.push(place);
    bytes += size;
  }
  if (others.length) parcels.push({ places: others, stills: false });
  return { parcels, tooLarge };
}

function divided(files) {
  const stills = [];
  const others = [];
  files.forEach((file, place) => (isStill(file) ? stills : others).push(place));
  return [stills, others];
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
