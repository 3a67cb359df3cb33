// Two pictures of one size, one over the other, with a divider between; zoom and pan.
//
// Coordinates are pixels of the result. Pictures are <img> elements moved by CSS transforms, so
// that the browser decodes and scales them: a canvas of 100 megapixels would take 400 MB.
//
// Browsers round the box of an image to whole pixels of the screen. So it is laid out with one of
// them for each of its own, and begins on a whole one: at 100 % it is drawn as it is.

import { listen } from "./gestures.js";

const MAX_ZOOM = 32; // screen pixels per picture pixel
const SHARP_ZOOM = 3; // from here on single pixels are shown as squares

export class Viewer {
  /** `root` holds .pane.left, .pane.right (an img and a .tag each) and .divider. */
  constructor(root, onZoom) {
    this.root = root;
    this.divider = root.querySelector(".divider");
    this.panes = {
      left: root.querySelector(".pane.left"),
      right: root.querySelector(".pane.right"),
    };
    this.onZoom = onZoom;
    this.width = 0; // of the picture; 0 when there is none
    this.height = 0;
    this.x = 0; // of the picture's corner, in CSS pixels from that of the stage
    this.y = 0;
    this.zoom = 1; // CSS pixels per picture pixel
    this.fitted = true;
    this.split = 0.5; // of the stage's width
    listen(root, this.divider, this);
    new ResizeObserver(() => this.resized()).observe(root);
    this.watchDensity();
  }

  /** Draw anew when the pixels of the screen change their size, as on another screen. */
  watchDensity() {
    const same = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    const changed = () => {
      this.resized();
      this.watchDensity();
    };
    same.addEventListener("change", changed, { once: true });
  }

  /** The size of both pictures; a new one is fitted into the stage, at the same one stays put. */
  setSize(width, height) {
    if (width === this.width && height === this.height) return;
    Object.assign(this, { width, height });
    if (width) this.fit();
    else this.draw();
  }

  /** What one side shows; no url leaves it empty. Resolves to whether it could be shown. */
  show(side, url, label, description) {
    const pane = this.panes[side];
    const img = pane.querySelector("img");
    pane.querySelector(".tag").textContent = label;
    img.alt = description;
    if (img.dataset.url === url) return Promise.resolve(img.dataset.broken !== "true");
    img.dataset.url = url;
    img.dataset.broken = "false";
    img.hidden = !url;
    if (!url) {
      img.removeAttribute("src");
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      img.onload = () => resolve(true);
      img.onerror = () => {
        if (img.dataset.url !== url) return; // replaced meanwhile
        img.dataset.broken = "true";
        img.hidden = true;
        resolve(false);
      };
      img.src = url;
    });
  }

  /** The colour under transparent pixels of both sides; empty for that of the stage. */
  backdrop(colour) {
    for (const img of this.root.querySelectorAll(".pane img")) img.style.backgroundColor = colour;
  }

  /** Whether there are two sides to compare. */
  compare(both) {
    this.root.classList.toggle("comparing", both);
    this.divider.hidden = !both;
    this.root.tabIndex = both ? -1 : 0; // one stop for the Tab key: the divider, if it is there
    this.draw();
  }

  get comparing() {
    return this.root.classList.contains("comparing");
  }

  /** Move the divider to a fraction of the stage's width. */
  moveTo(split) {
    this.split = Math.min(1, Math.max(0, split));
    this.draw();
  }

  fitZoom() {
    const { clientWidth, clientHeight } = this.root;
    const whole = Math.min(clientWidth / this.width, clientHeight / this.height);
    return Math.min(whole, MAX_ZOOM / devicePixelRatio);
  }

  fit() {
    if (!this.width) return;
    this.zoom = this.fitZoom();
    this.fitted = true;
    this.x = (this.root.clientWidth - this.width * this.zoom) / 2;
    this.y = (this.root.clientHeight - this.height * this.zoom) / 2;
    this.draw();
  }

  /** One pixel of the picture on one of the screen, around the middle. */
  actualSize() {
    this.zoomTo(1 / devicePixelRatio);
  }

  zoomBy(factor, x, y) {
    this.zoomTo(this.zoom * factor, x, y);
  }

  /** Change the zoom; the point (x, y) of the stage stays where it is. */
  zoomTo(zoom, x = this.root.clientWidth / 2, y = this.root.clientHeight / 2) {
    if (!this.width) return;
    const lowest = Math.min(this.fitZoom(), 1 / devicePixelRatio);
    const next = Math.min(MAX_ZOOM / devicePixelRatio, Math.max(lowest, zoom));
    this.x = x - ((x - this.x) * next) / this.zoom;
    this.y = y - ((y - this.y) * next) / this.zoom;
    this.zoom = next;
    this.fitted = Math.abs(next / this.fitZoom() - 1) < 1e-3;
    this.panBy(0, 0);
  }

  /** Whether the picture is larger than the stage, so that there is something to pan. */
  get pannable() {
    const { clientWidth, clientHeight } = this.root;
    return this.width * this.zoom > clientWidth + 1 || this.height * this.zoom > clientHeight + 1;
  }

  panBy(dx, dy) {
    this.x = kept(this.x + dx, this.width * this.zoom, this.root.clientWidth);
    this.y = kept(this.y + dy, this.height * this.zoom, this.root.clientHeight);
    this.draw();
  }

  resized() {
    if (this.fitted) this.fit();
    else this.panBy(0, 0);
  }

  draw() {
    const { root, panes, divider, split, comparing } = this;
    const density = devicePixelRatio; // pixels of the screen per CSS pixel
    const right = `${(100 * (1 - split)).toFixed(3)}%`;
    const left = `${(100 * split).toFixed(3)}%`;
    panes.left.style.clipPath = `inset(0 ${right} 0 0)`;
    panes.right.style.clipPath = comparing ? `inset(0 0 0 ${left})` : "none";
    divider.style.left = left;
    const tag = (side) => panes[side].querySelector(".tag").textContent;
    const percent = Math.round(100 * split);
    divider.setAttribute("aria-valuenow", String(percent));
    divider.setAttribute(
      "aria-valuetext",
      `${percent} % ${tag("left")}, ${100 - percent} % ${tag("right")}`,
    );
    root.classList.toggle("pannable", this.pannable);
    root.classList.toggle("sharp", this.zoom * density >= SHARP_ZOOM);
    const [x, y] = [this.x, this.y].map((start) => Math.round(start * density) / density);
    for (const pane of Object.values(panes)) {
      const { style } = pane.querySelector("img");
      style.width = `${this.width / density}px`;
      style.height = `${this.height / density}px`;
      style.transform = `translate(${x}px, ${y}px) scale(${this.zoom * density})`;
    }
    this.onZoom(this.width ? this.zoom * density : 0);
  }
}

/** Where a side of the picture starts so that no empty room shows that need not. */
function kept(start, length, room) {
  if (length <= room) return (room - length) / 2;
  return Math.min(0, Math.max(room - length, start));
}
