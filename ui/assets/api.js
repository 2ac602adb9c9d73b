// Questions to the server: the page asks what any program can ask.

import { has, t } from "./texts.js";

/** A reason from the server in the page's language, in the server's own words where we have none. */
export function reason({ code, message }) {
  const key = [`error.${code}`, `server.${code}`].find(has);
  return key ? t(key) : message;
}

/** Why there is no answer. `message` is for people, in their language where we have the words. */
export class Refused extends Error {
  /** `status` and `retryAfter`, in seconds, are null where the server does not say. */
  constructor({ code, message }, { status = null, retryAfter = null } = {}) {
    super(reason({ code, message }));
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The page's server cannot be asked at all. */
const UNREACHABLE = { code: "page_unreachable", message: "" };

/**
 * Send files in one request and hear the events of the answer (ui/schema.py names them) as they come.
 *
 * `onUpload` hears the share sent, 0..1. Rejects with `Refused`, or with an `AbortError` on `signal`.
 */
export function analyse(files, { onEvent, onUpload = () => {}, signal = null }) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    files.forEach((file, number) => form.append("file", file, neutralName(file, number)));
    const request = new XMLHttpRequest(); // fetch cannot tell how much has been sent
    let read = 0;
    let last = null;
    const readLines = () => {
      const end = request.responseText.lastIndexOf("\n") + 1;
      for (const line of request.responseText.slice(read, end).split("\n")) {
        if (!line) continue;
        last = JSON.parse(line);
        if (last.event === "failed") continue;
        onEvent(last);
      }
      read = Math.max(read, end);
    };
    request.open("POST", new URL("api/v1/analyze?map=true&picture=true", document.baseURI));
    request.setRequestHeader("Accept", "application/x-ndjson");
    request.upload.onprogress = (event) => event.lengthComputable && onUpload(event.loaded / event.total);
    request.onprogress = () => request.status === 200 && readLines();
    request.onload = () => {
      if (request.status !== 200) return reject(new Refused(errorIn(request.responseText), replyOf(request)));
      readLines();
      if (last?.event === "end") resolve();
      else reject(new Refused(last?.event === "failed" ? last.error : UNREACHABLE));
    };
    request.onerror = () => reject(new Refused(UNREACHABLE));
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    if (signal?.aborted) return request.onabort();
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/**
 * The response to a request under the page's address.
 *
 * Rejects with `Refused`, or with an `AbortError` on the options' `signal`.
 */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refused(UNREACHABLE);
  }
  if (!response.ok) throw new Refused(errorIn(await response.text()));
  return response;
}

/** The JSON of a GET under the page's address. */
export const get = async (path) => (await ask(path)).json();

const asked = new Map();

/** The same, asked for once; what failed is asked for again the next time. */
export function getOnce(path) {
  if (!asked.has(path)) {
    const answer = get(path);
    answer.catch(() => asked.delete(path));
    asked.set(path, answer);
  }
  return asked.get(path);
}

function replyOf(request) {
  const seconds = Number.parseInt(request.getResponseHeader("Retry-After"), 10);
  return { status: request.status, retryAfter: Number.isNaN(seconds) ? null : seconds };
}

/** The report on one scan, a PDF as a Blob. `name` is printed in it; null leaves the file nameless. */
export async function report(file, { language, name }) {
  const form = new FormData();
  form.append("file", file, neutralName(file, 0));
  if (name) form.append("name", name);
  return (await ask(`api/v1/report?lang=${language}`, { method: "POST", body: form })).blob();
}

/** Names of files often hold names of patients: they stay in the browser, but for the ending. */
function neutralName(file, number) {
  const [ending] = file.name.match(/(\.nii)?\.[a-z0-9]{1,5}$/i) ?? [""];
  return `scan-${number + 1}${ending.toLowerCase()}`;
}

function errorIn(body) {
  try {
    return JSON.parse(body).error ?? UNREACHABLE;
  } catch {
    return UNREACHABLE;
  }
}
