// The answers of a run as rows: one for each image, each volume, and each file that gave no answer.

import { highest } from "./slices.js";
import { language } from "./texts.js";

/**
 * A row.
 *
 * @typedef {object} Row
 * @property {number} file its place among the files
 * @property {string} name of the file, which only the browser knows
 * @property {?string} member its path inside the file, an archive
 * @property {?object} study the StudyEvent; null where there is no scan
 * @property {object[]} slices the answers so far
 * @property {?object} model the ModelEvent of the version that answered
 * @property {?object} error why there is no answer
 * @property {number[]} again files that may be sent once more for this row's sake
 */

/** Groups of rows, in the order of the table: by risk, then those still to come, refusals, no answer at all. */
const GROUPS = ["high", "medium", "low", "pending", "refused", "unanswered"];

const byName = new Intl.Collator(language, { numeric: true });

/** The rows of a run, filled by its events. */
export class Rows {
  /** @param {File[]} files */
  constructor(files) {
    this.files = files;
    this.all = [];
    this.models = []; // a run is answered by one version, unless it is replaced on the way
    this.latency = { prepare: 0, model: 0 };
    this.byStudy = new Map();
  }

  /** Take in an event, whose numbers are those of this run; the row it is about, or null. */
  add(event) {
    switch (event.event) {
      case "study": {
        const row = this.newRow(event, { study: event, model: this.models.at(-1) ?? null });
        this.byStudy.set(event.study, row);
        return row;
      }
      case "slice": {
        const row = this.byStudy.get(event.study);
        row.slices.push(event.slice);
        return row;
      }
      case "refused":
        return this.newRow(event, { error: event.error, again: event.again ?? [] });
      case "model":
        this.models.push(event);
        return null;
      case "end":
        this.latency.prepare += event.latency_ms.prepare;
        this.latency.model += event.latency_ms.model;
    }
    return null;
  }

  /** Forget the rows of files that are sent again. */
  drop(places) {
    const gone = new Set(places);
    this.all = this.all.filter((row) => !gone.has(row.file));
  }

  /** A number for the next study, where a further request is to join this run. */
  get nextStudy() {
    return Math.max(-1, ...this.byStudy.keys()) + 1;
  }

  /** Files that a row offers to send once more. */
  get again() {
    return [...new Set(this.all.flatMap((row) => row.again))];
  }

  /** Files that no row speaks of. */
  get untold() {
    const told = new Set(this.all.map((row) => row.file));
    return this.files.map((_, place) => place).filter((place) => !told.has(place));
  }

  newRow({ file, member }, rest) {
    const { name } = this.files[file];
    const row = { file, name, member, study: null, slices: [], model: null, error: null, again: [], ...rest };
    this.all.push(row);
    return row;
  }
}

/** What a scan is called, and where it lies if that is within an archive. */
export function namesOf({ name, member }) {
  if (member === null) return { name, within: null };
  const at = member.lastIndexOf("/") + 1;
  return { name: member.slice(at), within: [name, ...member.slice(0, at).split("/")].filter(Boolean).join(" / ") };
}

/** Whether nothing more is to come for a row. */
export const isComplete = (row) => row.error !== null || row.slices.length === row.study.length;

/** In which of `GROUPS` a row is. */
export function groupOf(row) {
  if (row.error) return "unanswered";
  const top = highest(row.slices);
  if (top) return top.decision.risk;
  return isComplete(row) ? "refused" : "pending";
}

/** Rows by a column, always the answered first and those without an answer last. */
export function sorted(rows, { column, descending }) {
  const keys = new Map(rows.map((row) => [row, keyOf(row, column)]));
  const tier = (row) => Math.max(0, GROUPS.indexOf(groupOf(row)) - 2); // the three risks are one tier
  const compare = (one, other) => {
    const [a, b] = [keys.get(one), keys.get(other)];
    const order = typeof a === "string" ? byName.compare(a, b) : a - b;
    return tier(one) - tier(other) || (descending ? -order : order) || one.file - other.file;
  };
  return rows.toSorted(compare);
}

function keyOf(row, column) {
  if (column === "scan") return `${row.name}/${row.member ?? ""}`;
  const top = highest(row.slices);
  if (column === "decision") return top ? top.decision.label : "";
  return top ? top.decision.probability : 0;
}
