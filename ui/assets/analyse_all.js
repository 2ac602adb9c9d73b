// Any number of files as one run: request after request, patient where the server is busy, and what is
// refused does not take the rest along.

import { analyse, getOnce, Refused } from "./api.js";
import { requestsOf, tooMuch } from "./requests.js";
import { number, t } from "./texts.js";

const MOST_WAITS = 6; // for one request, before its files are given back unanswered
const WAIT_S = 5; // where the server does not say
const LONGEST_WAIT_S = 60;
const MOST_FAILURES = 2; // one after another: whatever it is, the next request meets it too
const isBusy = ({ status, code }) => status === 429 || status === 503 || code === "server_overloaded";

/**
 * Send files and hear the events of all answers (ui/schema.py names them) as if they were those of one request.
 *
 * Numbers of files are their places in `files`. A study is told with its first answer, so after `model`, which
 * comes again if another version answers a later request. Beside the server's events there come
 * `{ event: "waiting", seconds }` while the server is busy, and for files that got no answer
 * `{ event: "refused", file, error, again }`, with `again` the files that may be sent once more.
 *
 * @param {File[]} files
 * @param {{ onEvent: Function, onUpload?: Function, signal?: AbortSignal }} options
 *   `onUpload` hears the share sent of all, 0..1
 * @returns {Promise<void>} rejects with `Refused` before anything is sent if there is too much of it, and with
 *   an `AbortError` on `signal`
 */
export async function analyseAll(files, { onEvent, onUpload = () => {}, signal = null }) {
  const limits = await getOnce("api/v1/limits");
  const sentence = tooMuch(files, limits);
  if (sentence) throw new Refused({ code: "too_much", message: sentence });
  const { requests, tooLarge } = requestsOf(files, limits);
  const latency = { prepare: 0, model: 0 };
  const run = { files, onEvent, onUpload, signal, latency, studies: 0, version: null, sent: 0 };
  run.bytes = requests.flatMap(({ places }) => places).reduce((total, place) => total + files[place].size, 0) || 1;
  for (const file of tooLarge) {
    onEvent({ event: "refused", file, member: null, error: { code: "too_large", message: t("many.too_large", { most: number(limits.file_mb) }) } });
  }
  let failures = 0;
  let last = null;
  for (const request of requests) {
    if (failures < MOST_FAILURES) {
      last = await answered(run, request);
      failures = last ? failures + 1 : 0;
    } else {
      giveBack(run, request, last);
    }
  }
  onEvent({ event: "end", latency_ms: run.latency });
}

/** One request, again while the server is busy; null, or why it failed, its files then given back. */
async function answered(run, { places, stills }) {
  let left = places;
  for (let waits = 0; ; waits += 1) {
    const done = new Set();
    try {
      await sendOnce(run, left, done);
      return null;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // Of stills those without an answer go again. A series that has begun would be told twice.
      if (stills) left = left.filter((place) => !done.has(place));
      const whole = stills || !done.size;
      if (!whole || !isBusy(error) || waits === MOST_WAITS) {
        giveBack(run, { places: left, stills }, error);
        return error;
      }
      await pause(run, Math.min(error.retryAfter ?? WAIT_S, LONGEST_WAIT_S));
    }
  }
}

async function sendOnce(run, places, done) {
  const { files, onEvent, onUpload, signal } = run;
  const announced = new Map(); // by the request's number of a study: its event, until it has an answer
  const numbers = new Map(); // its number in the run, from then on
  const size = places.reduce((total, place) => total + files[place].size, 0);
  const heard = {
    study: (event) => announced.set(event.study, event),
    refused: (event) => {
      done.add(places[event.file]);
      onEvent({ ...event, file: places[event.file] });
    },
    model: (event) => {
      if (run.version !== event.model.version) onEvent(event);
      run.version = event.model.version;
    },
    slice: (event) => {
      if (!numbers.has(event.study)) {
        const study = announced.get(event.study);
        const file = places[study.file];
        numbers.set(event.study, run.studies++);
        done.add(file);
        onEvent({ ...study, file, study: numbers.get(event.study) });
      }
      onEvent({ ...event, study: numbers.get(event.study) });
    },
    end: ({ latency_ms: { prepare, model } }) => {
      run.latency.prepare += prepare;
      run.latency.model += model;
    },
  };
  await analyse(
    places.map((place) => files[place]),
    {
      onEvent: (event) => heard[event.event](event),
      onUpload: (share) => onUpload(Math.min(1, (run.sent + share * size) / run.bytes)),
      signal,
    },
  );
  run.sent += size;
}

/** Tell that files got no answer; those of one series as one. */
function giveBack({ onEvent }, { places, stills }, error) {
  const groups = stills ? places.map((place) => [place]) : [places];
  for (const again of groups) {
    const { code, message } = error;
    onEvent({ event: "refused", file: again[0], member: null, error: { code, message }, again });
  }
}

/** Wait for a busy server, in words; ends at once on `signal`. */
function pause({ onEvent, signal }, seconds) {
  onEvent({ event: "waiting", seconds });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}
