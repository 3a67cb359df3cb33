// The page of the srnet service: puts the parts together.
//
// api.js talks to the service, retry.js says when it is asked again, queue.js keeps the pictures
// and runs them, list.js and detail.js show them, viewer.js and gestures.js compare two pictures,
// options.js is the settings form.

import { keyWorks, mayAskAgain, onKeyNeeded, request } from "./api.js";
import { Detail } from "./detail.js";
import { List } from "./list.js";
import { Options } from "./options.js";
import { ACTIVE, Queue, unsaved, worthAgain } from "./queue.js";
import { lasting, pause } from "./retry.js";
import { announcement } from "./text.js";

const MODELS_EVERY_MS = 3000; // while the service is not ready
const SAVE_EVERY_MS = 200; // browsers drop downloads that begin all at once

const at = (id) => document.getElementById(id);

const told = new Map(); // item to the state that was last announced
const queue = new Queue(changed);
const detail = new Detail(queue);
const list = new List(at("list"), act);
const options = new Options(at("options"), refresh);

function estimate(item) {
  return item?.width ? options.estimate(item.width, item.height) : null;
}

/** An item changed, appeared or was removed. */
function changed(item) {
  if (queue.items.includes(item)) {
    list.update(item, item === detail.item, estimate(item));
    if (item === detail.item) detail.update(estimate(item));
    if (told.get(item) !== item.state) announce(announcement(item));
    told.set(item, item.state);
  } else {
    const index = [...list.rows.keys()].indexOf(item);
    list.remove(item);
    told.delete(item);
    const next = queue.items[Math.min(index, queue.items.length - 1)] ?? null;
    if (item === detail.item) select(next);
  }
  refreshButtons();
  guard();
}

const ask = (event) => event.preventDefault();

/** Have the browser ask before a result is lost; only then, as a page that asks is not cached. */
function guard() {
  if (queue.items.some(unsaved)) addEventListener("beforeunload", ask);
  else removeEventListener("beforeunload", ask);
}

/** The settings changed: new estimates. */
function refresh() {
  for (const item of queue.items) {
    if (item.state === "ready") list.update(item, item === detail.item, estimate(item));
  }
  if (detail.item) detail.update(estimate(detail.item));
  refreshButtons();
}

function refreshButtons() {
  const items = toStart();
  at("go").setAttribute("aria-disabled", String(!items.length)); // `disabled` would take the focus
  at("go").textContent = offer(items);
  at("clear").hidden = queue.items.length < 2;
  at("save").hidden = results().length < 2;
  at("pictures-title").textContent = heading();
}

/** What the button says that starts these items. */
function offer(items) {
  const [item] = items;
  if (items.length > 1) return `Enlarge ${items.length} pictures`;
  if (!item || item.state === "ready") return "Enlarge";
  return item === detail.item ? "Enlarge again" : "Try the failed one again";
}

/** How far several pictures have come, while some are on their way. */
function heading() {
  const { items } = queue;
  const active = items.some((item) => ACTIVE.has(item.state));
  if (items.length < 2 || !active) return "Pictures";
  return `Pictures: ${items.filter((item) => item.state === "done").length} of ${items.length} done`;
}

/** All that are ready; else all that failed but need not again; else the chosen one once more. */
function toStart() {
  const ready = queue.items.filter((item) => item.state === "ready");
  if (ready.length) return ready;
  const failed = queue.items.filter((item) => item.state === "failed" && worthAgain(item));
  const { item } = detail;
  if (!failed.length) return item && (item.state === "done" || worthAgain(item)) ? [item] : [];
  // A result that is there is made anew only by other settings; it has no button of its own.
  const anew = item?.state === "done" && String(item.query) !== String(options.query());
  return anew ? [...failed, item] : failed;
}

function results() {
  return queue.items.filter((item) => item.result).map((item) => item.result);
}

/** Download every result that is here, one after the other. */
async function save() {
  for (const result of results()) {
    const { url, name } = result;
    const link = Object.assign(document.createElement("a"), { href: url, download: name });
    link.click();
    saved(result);
    await pause(SAVE_EVERY_MS);
  }
}

/** A download of a result has begun. */
function saved(result) {
  result.saved = true;
  guard();
}

function select(item) {
  const before = detail.item;
  detail.select(item, estimate(item));
  for (const one of [before, item]) {
    if (one && queue.items.includes(one)) list.update(one, one === item, estimate(one));
  }
  refreshButtons();
}

function start(items) {
  if (!items.length || !options.valid()) return;
  mayAskAgain();
  for (const item of items) queue.start(item, options.query());
  at("panel").scrollTo({ top: 0 }); // from the settings up to the list
  at("viewer").scrollIntoView({ block: "nearest" }); // on a small screen it may be far up
}

function act(name, item) {
  if (name === "select") select(item);
  if (name === "cancel") queue.cancel(item);
  if (name === "again") start([item]);
  if (name === "remove") queue.remove(item);
}

function announce(words) {
  if (words) at("live").textContent = words;
}

function add(files) {
  const items = [...files].map((file) => queue.add(file));
  for (const item of items) measure(item);
  if (!items.length) return;
  if (!detail.item) select(items[0]);
  announce(items.length === 1 ? `${items[0].name} added.` : `${items.length} pictures added.`);
}

/** Learn the size of the original from the browser, if it can read it. */
function measure(item) {
  const img = new Image();
  img.onload = () => {
    if (!queue.items.includes(item)) return;
    queue.set(item, { width: img.naturalWidth, height: img.naturalHeight });
  };
  img.src = item.url;
}

function banner(words) {
  at("banner").textContent = words;
  at("banner").hidden = !words;
}

/** Pictures that are dropped anywhere on the page, pasted, or chosen. */
function takeFiles() {
  const input = at("files");
  input.addEventListener("change", () => {
    add(input.files);
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    add(event.clipboardData.files);
  });
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    at("drop").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) at("drop").hidden = true;
  });
  document.addEventListener("drop", (event) => {
    at("drop").hidden = true;
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((one) => one.webkitGetAsEntry?.());
    const files = [...event.dataTransfer.files].filter((_, i) => !entries[i]?.isDirectory);
    const folders = files.length < event.dataTransfer.files.length;
    banner(folders ? "A folder cannot be dropped here: drop the pictures in it." : "");
    add(files);
  });
}

const ACTIONS = {
  choose: () => at("files").click(),
  go: () => start(toStart()),
  save,
  download: () => saved(detail.item.result),
  clear: () => {
    for (const item of [...queue.items]) queue.remove(item);
    at("add").focus(); // the button that had it is gone
  },
  in: () => detail.viewer.zoomBy(1.5),
  out: () => detail.viewer.zoomBy(1 / 1.5),
  fit: () => detail.viewer.fit(),
  actual: () => detail.viewer.actualSize(),
  "key-cancel": () => at("key").close(""),
};

/** Ask for an API key; null if the person gives up. */
function askForKey(refused) {
  const dialog = at("key");
  at("key-text").textContent = refused
    ? "The service did not accept that key. Enter another one."
    : "This service asks for a key. It is kept until you close this tab.";
  at("key-input").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => resolve(dialog.returnValue === "ok" ? at("key-input").value.trim() || null : null),
      { once: true },
    );
  });
}

async function loadModels() {
  for (;;) {
    try {
      const answer = await request("GET", "v1/models");
      options.setModels(await answer.json());
      banner("");
      return;
    } catch (error) {
      banner(error.message);
      if (error.status === 401) await keyWorks(); // the person may give it later
      else if (lasting(error)) return;
      else await pause(Math.max(MODELS_EVERY_MS, 1000 * Math.min(error.retryAfter ?? 0, 60)));
    }
  }
}

document.addEventListener("click", (event) => {
  ACTIONS[event.target.closest?.("[data-action]")?.dataset.action]?.();
});
addEventListener("pagehide", (event) => {
  if (!event.persisted) queue.abandon();
});
onKeyNeeded(askForKey);
takeFiles();
loadModels();
