// Which versions there are, what the model server makes of them, and where their cards are.

import { get } from "./api.js";
import { servedCard } from "./cards.js";

/**
 * All versions, newest first.
 *
 * @returns {Promise<{ name: string, answers: number, versions: { number: number, state: string|null, onDisk: boolean }[] }>}
 *     `state` as the model server names it, null where it says nothing; only AVAILABLE ones answer.
 */
export async function allVersions() {
  const [status, disk] = await Promise.all([get("api/v1/model"), get("api/v1/versions")]);
  const onDisk = new Set(disk.versions ?? []);
  const numbers = new Set([...Object.keys(status.versions).map(Number), ...onDisk]);
  const versions = [...numbers]
    .sort((a, b) => b - a)
    .map((number) => ({ number, state: status.versions[number] ?? null, onDisk: onDisk.has(number) }));
  return { name: status.name, answers: status.version, versions };
}

/** Whether the version's card can be read: from the server where it answers, else from the disk. */
export const hasCard = (version) => version.state === "AVAILABLE" || version.onDisk;

/** The card of a version that has one. */
export const cardOf = (version) =>
  version.state === "AVAILABLE" ? servedCard(version.number) : get(`api/v1/versions/${version.number}/card`);

/** Addresses of the card's plots by name; null where the page's server does not know where models lie. */
export async function plotsOf(version) {
  const folder = `api/v1/model/${version.number}/plots`;
  const { plots } = await get(folder);
  return plots && new Map(plots.map((name) => [name.replace(/\.png$/, ""), new URL(`${folder}/${name}`, document.baseURI)]));
}
