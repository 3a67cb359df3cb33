// Requests to the service: keys, problems, uploads with progress, and the events of a job.

import { lasting, pause, retrying } from "./retry.js";

const KEY = "srnet-key";
const SENDABLE = /^[\x20-\x7e\xa0-\xff]+$/; // what a header can carry
const SILENCE_MS = 45_000; // after this long without a byte, ask again instead of listening
const LISTEN_AGAIN_MS = 1000; // after the events of a job broke off

/** What the service refused, in its own words (application/problem+json). */
export class Problem extends Error {
  constructor(status, detail, { title = "", requestId = "", retryAfter = null } = {}) {
    super(detail.charAt(0).toUpperCase() + detail.slice(1));
    this.status = status;
    this.title = title; // what kind of problem, in a few words, or ""
    this.requestId = requestId;
    this.retryAfter = retryAfter; // seconds, or null
  }
}

let askForKey = async () => null; // (wasRefused) => key, or null when the person gives up
let asking = null;
let givenUp = false; // by the person, who is then left in peace
const kept = sessionStorage.getItem(KEY) ?? "";
let key = SENDABLE.test(kept) ? kept : "";
const waiting = []; // for a key that works

/** Say how to ask the person for an API key. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** The person wants something anew, and so may be asked again after having given up. */
export function mayAskAgain() {
  givenUp = false;
}

/** Wait until a key has been given with which the service answers. */
export function keyWorks() {
  return new Promise((resolve) => waiting.push(resolve));
}

function credentials() {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** A key from the person; one that no request can carry is refused like a wrong one. */
async function newKey(refused) {
  const given = await askForKey(refused);
  if (given && !SENDABLE.test(given)) return newKey(true);
  givenUp = !given;
  return given;
}

/** Keep a key, now that it has worked. */
function keep(used) {
  sessionStorage.setItem(KEY, used);
  for (const goOn of waiting.splice(0)) goOn();
}

/** Try until the answer is not 401, asking for a key in between; several callers ask once. */
async function withKey(attempt) {
  for (;;) {
    const used = key;
    const answer = await attempt(credentials());
    if (answer.status < 400 && used) keep(used);
    if (answer.status !== 401) return answer;
    if (used !== key) continue; // another caller got a new key meanwhile
    if (!givenUp) asking ??= newKey(used !== "").finally(() => (asking = null));
    const given = await asking;
    if (!given) throw new Problem(401, "This service needs an API key.");
    key = given;
  }
}

function problemOf(status, text, header) {
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // a proxy in between may answer with a page of its own
  }
  const wait = Number.parseFloat(header("Retry-After"));
  return new Problem(
    status,
    problem.detail || problem.title || `The service answered with status ${status}.`,
    {
      title: problem.detail ? problem.title : "",
      requestId: problem.request_id || header("X-Request-ID") || "",
      retryAfter: Number.isFinite(wait) ? wait : null,
    },
  );
}

const unreachable = () =>
  new Problem(0, "The service cannot be reached. Check that it is running, then try again.");

/** One request; the answer if it is a success, else a Problem is thrown. */
export async function request(method, path, { body, signal, accept, keepalive } = {}) {
  const answer = await withKey(async (headers) => {
    if (accept) headers.Accept = accept;
    try {
      return await fetch(path, { method, body, signal, headers, keepalive, cache: "no-store" });
    } catch (error) {
      throw signal?.aborted ? error : unreachable();
    }
  });
  if (!answer.ok) {
    throw problemOf(answer.status, await answer.text(), (name) => answer.headers.get(name));
  }
  return answer;
}

/** The body of a request with one picture. */
export function pictureForm(file) {
  const form = new FormData();
  form.append("file", file, file.name || "picture");
  return form;
}

/**
 * Make a job of a picture, perhaps although aborted; `once` names the wish, which makes one job
 * however often it is sent, and `onProgress` hears the fraction uploaded.
 */
export async function createJob(query, file, { once, signal, onProgress }) {
  const answer = await withKey((headers) => {
    headers["Idempotency-Key"] = once;
    return send(`v1/jobs?${query}`, pictureForm(file), headers, signal, onProgress);
  });
  if (answer.status >= 200 && answer.status < 300) return JSON.parse(answer.responseText);
  throw problemOf(answer.status, answer.responseText, (name) => answer.getResponseHeader(name));
}

// XMLHttpRequest, because fetch() does not tell how much of a body has been sent. Once all of it
// has been, an abort waits for the answer: only that tells which job there is to delete.
function send(path, body, headers, signal, onProgress) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const call = new XMLHttpRequest();
    let sent = false;
    const stop = () => sent || call.abort();
    call.open("POST", path);
    for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
    call.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    call.upload.onload = () => (sent = true);
    call.onload = () => {
      if (signal.aborted && call.status >= 300) reject(signal.reason);
      else resolve(call);
    };
    call.onabort = () => reject(signal.reason);
    call.onerror = () =>
      reject(new Problem(0, "The upload broke off. Check the service, then try again."));
    call.onloadend = () => signal.removeEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    call.send(body);
  });
}

const ENDED = new Set(["done", "failed", "cancelled"]);

/** A whole answer, as {blob, headers}; asked for again if it is lost. */
export function download(path, { signal, note }) {
  const attempt = async () => {
    const answer = await request("GET", path, { signal });
    const blob = await answer.blob().catch((error) => {
      throw signal.aborted ? error : unreachable();
    });
    return { blob, headers: answer.headers };
  };
  return retrying(attempt, { signal, note });
}

/** The states of a job, as they come, up to the last one. */
export async function* follow(id, { signal, note }) {
  const ask = async () => {
    const answer = await request("GET", `v1/jobs/${encodeURIComponent(id)}`, { signal });
    return answer.json();
  };
  for (;;) {
    try {
      for await (const state of events(id, signal)) {
        yield state;
        if (ENDED.has(state.state)) return;
      }
    } catch (error) {
      if (signal.aborted || lasting(error)) throw error;
    }
    // The stream broke off: ask until there is an answer, and listen again.
    const state = await retrying(ask, { signal, note });
    yield state;
    if (ENDED.has(state.state)) return;
    await pause(LISTEN_AGAIN_MS, signal);
  }
}

// EventSource cannot send an API key, so the stream is read by hand.
async function* events(id, signal) {
  const watchdog = new AbortController();
  let timer = 0;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => watchdog.abort(), SILENCE_MS);
  };
  const stop = () => watchdog.abort();
  signal.addEventListener("abort", stop);
  try {
    alive();
    const path = `v1/jobs/${encodeURIComponent(id)}/events`;
    const answer = await request("GET", path, {
      signal: watchdog.signal,
      accept: "text/event-stream",
    });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      const blocks = (text + value).replace(/\r\n/g, "\n").split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").filter((line) => line.startsWith("data:"));
        if (data.length) yield JSON.parse(data.map((line) => line.slice(5)).join("\n"));
      }
    }
  } finally {
    clearTimeout(timer);
    watchdog.abort();
    signal.removeEventListener("abort", stop);
  }
}
