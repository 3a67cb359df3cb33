// The chosen picture, large: what the viewer shows of it, and the facts below.

import { element } from "./list.js";
import { ACTIVE, MAX_AGAIN_PIXELS, MAX_PREVIEW_PIXELS, unreadable } from "./queue.js";
import * as text from "./text.js";
import { Viewer } from "./viewer.js";

const ADDED =
  "Grey: nothing was added. Lighter and darker: detail that was added to bicubic, " +
  "enhanced so that it can be seen.";

const at = (id) => document.getElementById(id);

export class Detail {
  constructor(queue) {
    this.queue = queue;
    this.item = null;
    this.shown = ""; // what the layers were last made of
    this.trouble = ""; // why a comparison is missing
    this.viewer = new Viewer(at("stage"), (zoom) => {
      at("zoom").textContent = zoom ? `${Math.round(100 * zoom)} %` : "–";
    });
    at("views").addEventListener("change", () => this.update(null));
  }

  get view() {
    return at("views").querySelector("input:checked").value;
  }

  /** Choose a picture, or none. */
  select(item, estimate) {
    if (item !== this.item) {
      if (this.item) this.queue.leave(this.item);
      this.viewer.setSize(0, 0); // so that the next size is fitted
    }
    this.item = item;
    at("welcome").hidden = item !== null;
    at("viewer").hidden = item === null;
    this.update(estimate);
  }

  /** Show the chosen picture as it is now. */
  update(estimate) {
    const { item } = this;
    const { result } = item ?? {};
    const made = [result?.url, result && this.view];
    const layers = item && [item.id, item.width, ...made, unreadable(item)].join();
    if (layers !== this.shown) {
      this.shown = layers;
      this.trouble = "";
      if (item) this.layers(item);
      else this.clear();
    }
    if (!item) return;
    at("views").hidden = !item.result;
    at("explain").hidden = item.state !== "done" || item.job.consistency_db === null;
    at("stage-progress").hidden = !ACTIVE.has(item.state);
    at("stage-progress").value = item.progress;
    at("download").hidden = !item.result;
    if (item.result) {
      at("download").href = item.result.url;
      at("download").download = item.result.name;
    } else at("download").removeAttribute("href");
    this.caption(item);
    this.facts(item, estimate);
  }

  clear() {
    for (const side of ["left", "right"]) this.viewer.show(side, "", "", "");
  }

  /** Say something over the picture, or nothing. */
  cover(words) {
    at("cover").textContent = words;
    at("cover").hidden = !words;
  }

  async layers(item) {
    const current = this.shown;
    const stale = () => this.shown !== current;
    this.cover("");
    this.viewer.backdrop(item.result ? flattenedOn(item) : "");
    if (!item.result) {
      this.viewer.compare(false);
      this.viewer.show("left", "", "", "");
      if (unreadable(item)) {
        this.viewer.show("right", "", "", "");
        this.cover("No preview: this file cannot be read.");
        return;
      }
      if (item.width) this.viewer.setSize(item.width, item.height);
      const seen = await this.viewer.show("right", item.url, "Original", `${item.name}, original`);
      if (!seen && !stale()) this.cover("No preview: this browser cannot show this file.");
      return;
    }
    this.viewer.setSize(item.job.output.width, item.job.output.height);
    this.viewer.compare(true);
    if (this.view === "bicubic") await this.besideBicubic(item, stale);
    else await this.besideAdded(item, stale);
  }

  async result(item, side, stale) {
    const seen = await this.viewer.show(side, item.result.url, "srnet", `${item.name}, enlarged`);
    if (seen || stale()) return;
    const { width, height, format } = item.job.output;
    const cannot = `This browser cannot show ${format.toUpperCase()}`;
    if (width * height > MAX_AGAIN_PIXELS) {
      this.cover(`${cannot}. The file is ready to download.`);
      return;
    }
    this.cover(`${cannot}: making a PNG to look at …`);
    await this.preview(item, "result", side, "srnet", stale);
    if (!stale()) this.cover("");
  }

  async besideBicubic(item, stale) {
    const right = this.result(item, "right", stale);
    const { width, height } = item.job.output;
    const plain = `${item.name}, original, scaled by the browser`;
    this.viewer.show("left", item.width ? item.url : "", "Original, browser-scaled", plain);
    this.viewer.draw();
    await right;
    if (stale() || width * height > MAX_PREVIEW_PIXELS) return;
    await this.preview(item, "bicubic", "left", "Bicubic", stale);
  }

  async besideAdded(item, stale) {
    this.viewer.show("right", "", "What was added", "");
    this.viewer.draw();
    await this.result(item, "left", stale);
    if (stale()) return;
    this.cover("Computing what was added …");
    await this.preview(item, "residual", "right", "What was added", stale);
    if (!stale()) this.cover("");
  }

  async preview(item, kind, side, label, stale) {
    try {
      const url = await this.queue.preview(item, kind);
      if (stale()) return;
      await this.viewer.show(side, url, label, `${item.name}, ${label.toLowerCase()}`);
      this.viewer.draw(); // the label is part of what the divider tells
    } catch (error) {
      if (stale()) return;
      this.trouble = `${label} cannot be shown: ${error.message}`;
      this.caption(item);
    }
  }

  caption(item) {
    const failed = item.state === "failed";
    const words = failed ? item.error.message : this.trouble;
    const added = item.result && this.view === "residual" ? ADDED : "";
    const caption = at("caption");
    const id = failed && item.error.requestId ? ` (request ${item.error.requestId})` : "";
    const content = words ? words + id : added;
    if (caption.textContent !== content) caption.textContent = content;
    caption.hidden = !content;
    caption.classList.toggle("error", Boolean(words));
  }

  facts(item, estimate) {
    const { job } = item;
    const original = item.width ? item : (job?.input ?? {});
    const rows = [
      ["Original", [original.width && text.size(original.width, original.height), item.file.size]],
    ];
    if (item.state === "done") {
      const { output } = job;
      rows.push(["Result", [text.size(output.width, output.height), item.result.bytes]]);
      const lost = text.leftOut(output);
      if (lost) rows.push(["Left out", [lost]]);
      if (job.seconds !== null) rows.push(["Time", [text.seconds(job.seconds)]]);
      if (job.consistency_db !== null) {
        rows.push(["Consistency", [text.consistency(job.consistency_db)]]);
      }
    } else if (item.state === "ready" && estimate) {
      rows.push(["Result", [text.size(...estimate)]]);
    } else rows.push(["State", [text.state({ ...item, error: { message: "Failed" } })]]);
    const words = ([first, count]) =>
      [first, count && text.bytes(count)].filter(Boolean).join(", ");
    at("facts").replaceChildren(
      ...rows.map(([name, values]) => {
        const pair = element("div");
        pair.append(element("dt", "", name), element("dd", "", words(values)));
        return pair;
      }),
    );
  }
}

/** The colour that a result without transparency was put on, for the sides that have it; or "". */
function flattenedOn(item) {
  const colour = new URLSearchParams(item.query).get("background");
  return item.job.output.format === "jpeg" && colour ? `#${colour}` : "";
}
