// The pictures of this page and what becomes of them. No DOM here.

import { Problem, createJob, download, follow, pictureForm, request } from "./api.js";
import { lasting, retrying } from "./retry.js";

const AT_ONCE = 2; // one at work and one waiting at the service, so that it is never idle
const PREVIEWS_KEPT = 4; // pictures whose previews stay in memory
export const MAX_PREVIEW_PIXELS = 60e6; // above this the plain original is shown for comparison
export const MAX_AGAIN_PIXELS = 12e6; // up to this a result is made once more, as PNG, to show it

const OF_THE_FILE = new Set([413, 415]); // refusals that no second try can change
export const ACTIVE = new Set(["waiting", "uploading", "queued", "running", "fetching"]);

/** Whether another try, perhaps with other settings, could end otherwise. */
export function worthAgain(item) {
  const failed = item.state === "failed" && !OF_THE_FILE.has(item.error.status);
  return failed || item.state === "cancelled";
}

/** Whether leaving the page would lose an item's result: it is kept nowhere else. */
export const unsaved = (item) => ACTIVE.has(item.state) || item.result?.saved === false;

/** Whether the service could not read the file, so that what a browser makes of it misleads. */
export const unreadable = (item) => item.state === "failed" && item.error.status === 415;

/** Whether the service may keep an item's job that nobody follows: it was lost, or the key is. */
function adrift(item) {
  return ["failed", "ready"].includes(item.state) && item.job && item.job.state !== "failed";
}

/** Whether a job that is adrift can be gone on with, to have what these options give. */
function canGoOn(item, query) {
  const gone = item.error && lasting(item.error);
  return adrift(item) && !gone && String(item.query) === String(query);
}

let count = 0;

function newItem(file) {
  count += 1;
  return {
    id: count,
    file,
    name: file.name || `picture ${count}`,
    url: URL.createObjectURL(file), // of the original
    width: 0, // of the original; 0 until known, or when the browser cannot show it
    height: 0,
    state: "ready", // ready, one of ACTIVE, done, failed, cancelled
    progress: 0,
    place: null,
    note: "",
    error: null, // Problem
    query: null, // URLSearchParams of the run
    once: null, // names a wish that was sent until the service has answered it
    job: null, // the last state that the service told
    result: null, // {url, bytes, name, saved}
    previews: new Map(), // "bicubic", "residual" or "result" to {made, control, ready}
    control: null, // AbortController of the run
  };
}

/** The list of pictures; `changed(item)` is called after every change of one. */
export class Queue {
  constructor(changed) {
    this.items = [];
    this.changed = changed;
    this.recent = []; // items with previews, oldest first
  }

  add(file) {
    const item = newItem(file);
    this.items.push(item);
    this.changed(item);
    return item;
  }

  /** Enlarge an item with these options; it replaces an earlier result. */
  start(item, query) {
    const job = canGoOn(item, query) ? item.job : null;
    if (!job) this.forget(item);
    if (String(item.query) !== String(query)) item.once = null; // another wish
    item.query = query;
    item.error = null;
    item.control = new AbortController();
    this.set(item, { state: "waiting", progress: 0, note: "", job });
    this.pump();
  }

  cancel(item) {
    if (!ACTIVE.has(item.state)) return;
    item.control.abort();
    item.once = null; // what is under way makes a job that will be deleted
    this.drop(item.job);
    this.set(item, { state: "cancelled", progress: 0, note: "" });
    this.pump();
  }

  remove(item) {
    this.cancel(item);
    this.forget(item);
    URL.revokeObjectURL(item.url);
    this.items = this.items.filter((other) => other !== item);
    this.changed(item);
  }

  /** The page is going away: stop what the service still does for it. */
  abandon() {
    for (const item of this.items) if (ACTIVE.has(item.state)) this.drop(item.job, true);
  }

  set(item, values) {
    Object.assign(item, values);
    this.changed(item);
  }

  pump() {
    const working = this.items.filter((i) => ACTIVE.has(i.state) && i.state !== "waiting").length;
    const next = this.items.filter((i) => i.state === "waiting").slice(0, AT_ONCE - working);
    for (const item of next) this.run(item, item.control.signal);
  }

  async run(item, signal) {
    this.set(item, { state: item.job ? "fetching" : "uploading", progress: 0 });
    const note = (words) => this.set(item, { note: words });
    try {
      const job = item.job ?? (await this.submit(item, signal));
      this.hear(item, job);
      for await (const state of follow(job.id, { signal, note })) this.hear(item, state);
      await this.finish(item, { signal, note });
    } catch (error) {
      if (signal.aborted) return; // cancel() has said so already
      if (error.status === 401) this.unstart(item, error.message);
      else this.fail(item, error);
    }
    this.pump();
  }

  fail(item, error) {
    if (!(error instanceof Problem)) console.error(error); // a fault of this page
    const problem = error instanceof Problem ? error : new Problem(0, String(error.message));
    if (lasting(problem)) item.once = null; // answered
    this.set(item, { state: "failed", error: problem, progress: 0, note: "" });
    if (item.job?.state === "failed") this.drop(item.job); // else it may be there still
  }

  /** The person gave no API key: neither this item nor those behind it can be worked on. */
  unstart(item, note) {
    const behind = this.items.filter((other) => other.state === "waiting");
    for (const one of [item, ...behind]) this.set(one, { state: "ready", progress: 0, note });
  }

  async submit(item, signal) {
    item.once ??= newName(); // kept until there is an answer: a lost one may have made the job
    const attempt = async () => {
      await check(item.file);
      return createJob(item.query, item.file, {
        once: item.once,
        signal,
        onProgress: (progress) => this.set(item, { progress, note: "" }),
      });
    };
    const note = (words) => this.set(item, { progress: 0, note: words });
    const job = await retrying(attempt, { signal, note });
    if (signal.aborted) this.drop(job); // cancel() did not know of it
    signal.throwIfAborted();
    item.once = null;
    item.job = job;
    return job;
  }

  hear(item, job) {
    if (!ACTIVE.has(item.state)) return; // cancelled meanwhile
    item.job = job;
    if (job.state === "queued" || job.state === "running") {
      const progress = job.state === "running" ? job.progress : 0;
      this.set(item, { state: job.state, progress, place: job.place, note: "" });
    }
  }

  async finish(item, { signal, note }) {
    const { job } = item;
    if (job.state === "cancelled") {
      this.set(item, { state: "cancelled", progress: 0, note: "Cancelled by the service" });
      return;
    }
    if (job.state === "failed") {
      const { status = 0, detail, title, request_id: requestId } = job.error ?? {};
      const words = detail || title || "The service could not finish it.";
      throw new Problem(status, words, { title: detail ? title : "", requestId });
    }
    this.set(item, { state: "fetching", progress: 1, note: "" });
    const path = `v1/jobs/${encodeURIComponent(job.id)}/result`;
    const { blob, headers } = await download(path, { signal, note });
    const name = nameOf(headers.get("Content-Disposition")) || plainName(item);
    signal.throwIfAborted();
    const url = URL.createObjectURL(blob);
    item.result = { url, bytes: blob.size, name, saved: false };
    this.set(item, { state: "done", progress: 1 });
    this.drop(job); // the result is here, so the service need not keep it
  }

  /** Stop a job at the service, or delete what it keeps; whether it worked changes nothing. */
  drop(job, keepalive = false) {
    if (!job?.id) return;
    const path = `v1/jobs/${encodeURIComponent(job.id)}`;
    request("DELETE", path, { keepalive }).catch(() => {});
  }

  /** A PNG to look at (bicubic, residual, or the result if it cannot be shown itself), made by the service once: an object URL. */
  preview(item, kind) {
    if (!item.previews.has(kind)) {
      const control = new AbortController();
      const preview = { control, made: fetchPreview(item, kind, control.signal), ready: false };
      item.previews.set(kind, preview);
      preview.made.then(
        () => (preview.ready = true),
        () => item.previews.get(kind) === preview && item.previews.delete(kind),
      );
    }
    this.recent = [...this.recent.filter((other) => other !== item), item];
    while (this.recent.length > PREVIEWS_KEPT) revokePreviews(this.recent.shift());
    return item.previews.get(kind).made;
  }

  /** Nobody looks at the item any more: previews that are not finished are not needed. */
  leave(item) {
    for (const [kind, { control, ready }] of item.previews) {
      if (ready) continue;
      control.abort();
      item.previews.delete(kind);
    }
  }

  forget(item) {
    if (adrift(item)) this.drop(item.job); // it was kept until now
    if (item.result) URL.revokeObjectURL(item.result.url);
    item.result = null;
    revokePreviews(item);
    this.recent = this.recent.filter((other) => other !== item);
  }
}

/** Refuse a file that cannot be sent; to a request, one that has changed is a lost connection. */
async function check(file) {
  if (!file.size) throw new Problem(415, "The file is empty.", { title: "Empty file" });
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Problem(415, "The file has changed, or is gone: add it again.", {
      title: "File changed or gone",
    });
  });
}

/** A name that nobody else gives; randomUUID() is there over https only. */
function newName() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

function revokePreviews(item) {
  for (const { made, control } of item.previews.values()) {
    control.abort();
    made.then(URL.revokeObjectURL, () => {});
  }
  item.previews.clear();
}

async function fetchPreview(item, kind, signal) {
  const query = new URLSearchParams(item.query);
  query.set("format", "png");
  query.delete("quality");
  if (kind === "bicubic") query.set("strength", "0");
  const path = kind === "residual" ? "v1/residual" : "v1/upscale";
  const answer = await request("POST", `${path}?${query}`, {
    body: pictureForm(item.file),
    accept: "image/png",
    signal,
  });
  return URL.createObjectURL(await answer.blob());
}

/** The file name of a Content-Disposition header, or null. */
export function nameOf(header) {
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(header ?? "");
  try {
    if (encoded) return decodeURIComponent(encoded[1]);
  } catch {
    return null;
  }
  return /filename="([^"]+)"/i.exec(header ?? "")?.[1] ?? null;
}

function plainName(item) {
  const stem = item.name.replace(/\.[^.]*$/, "");
  const { width, height, format } = item.job.output;
  return `${stem}_${width}x${height}.${format === "jpeg" ? "jpg" : format}`;
}
