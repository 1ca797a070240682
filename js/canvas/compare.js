/**
 * Compare Videos: two to four videos in one picture, frame by frame.
 *
 * Others can make every comparer on the page show a moment: `seekComparers({ seconds })` or `seekComparers({ frame })`,
 * or without importing anything `window.dispatchEvent(new CustomEvent("textovsr:seek", { detail: { seconds } }))`.
 * Seconds and frames count from the first frame of the comparer's first video.
 */

import { app } from "../../../scripts/app.js";
import { listenToKeys, listenToPointer, makeControls } from "./compare_controls.js";
import { Player } from "./compare_player.js";
import { addStyle } from "./compare_style.js";
import { centred, commonSize, fit, paint, placeIn, strips, zoomAt } from "./compare_view.js";
import { say } from "./language.js";
import { addPassing, titleBefore, widgetOf } from "./widgets.js";

const WIDGET = "comparison";
const LEAST = { width: 560, height: 420 };

/** How many steps of a picture's size there are while playing, in pixels: not every zoom asks for pictures anew. */
const SIDE_STEP = 256;

/** @type {Set<Comparer>} those on the page */
const comparers = new Set();

/**
 * Show the videos of a run.
 *
 * @param {object} node an OVSR_CompareVideos
 * @param {{videos?: import("./compare_frames.js").ComparedVideo[]}} output
 */
export function showComparison(node, { videos }) {
  if (!(videos?.length > 1)) return;
  const widget = widgetOf(node, WIDGET) ?? addWidget(node);
  if (widget.shown === JSON.stringify(videos)) return; // told again, not run again
  widget.shown = JSON.stringify(videos);
  widget.comparer?.destroy();
  const named = videos.map((video) => ({ ...video, called: calledLike(node, video) }));
  widget.comparer = new Comparer(widget.element, named, widget.comparer);
}

/** A video's file; or the node that it comes from, where the file is temporary and its name says nothing. */
function calledLike(node, { name, filename, type }) {
  return (type === "temp" && titleBefore(node, name)) || filename;
}

/**
 * Make every comparer show a moment.
 *
 * @param {{seconds?: number, frame?: number}} where
 */
export function seekComparers({ seconds, frame }) {
  for (const { player } of comparers) {
    if (Number.isFinite(seconds)) player.seek(seconds);
    else if (Number.isFinite(frame)) player.step(frame - player.frame);
  }
}

window.addEventListener("textovsr:seek", ({ detail }) => seekComparers(detail ?? {}));

function addWidget(node) {
  addStyle();
  const root = document.createElement("div");
  root.className = "textovsr-compare";
  root.tabIndex = 0;
  root.dataset.captureWheel = "true"; // where nodes are HTML, the wheel zooms the graph otherwise
  const options = { margin: 4, hideOnZoom: false, getMinHeight: () => LEAST.height };
  const widget = addPassing(node, node.addDOMWidget(WIDGET, "comparison", root, options));
  const [width, height] = node.size;
  node.setSize([Math.max(width, LEAST.width), height]);
  const { onRemoved } = node;
  node.onRemoved = function () {
    widget.comparer?.destroy();
    return onRemoved?.apply(this, arguments);
  };
  return widget;
}

/** Everything in one widget. */
export class Comparer {
  /**
   * @param {HTMLElement} root where to show it
   * @param {import("./compare_frames.js").ComparedVideo[]} videos
   * @param {Comparer} [before] the one that was shown there; what can stay as it was does
   */
  constructor(root, videos, before) {
    this.root = root;
    this.videos = videos;
    this.picture = commonSize(videos);
    this.places = videos.map((video) => placeIn(this.picture, video));
    this.difference = before?.difference ?? false;
    this.gain = before?.gain ?? 8;
    this.whole = null;
    this.fitted = true;
    this.dividers = videos.slice(1).map((_, place) => (place + 1) / videos.length);
    this.view = { scale: 1, x: 0, y: 0 };
    this.player = new Player(videos, { changed: () => this.update(), side: () => this.sideNeeded() });
    this.canvas = document.createElement("canvas");
    this.note = document.createElement("div");
    this.note.className = "textovsr-compare-note";
    this.note.setAttribute("role", "status");
    this.controls = makeControls(this);
    const names = videos.map(({ name, called }) => `${name.toUpperCase()}: ${called}`).join(", ");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", say("Comparison of {names}", { names }));
    root.replaceChildren(this.canvas, this.note, this.controls.bar);
    this.listening = new AbortController();
    listenToKeys(root, this, this.listening.signal);
    listenToPointer(this.canvas, this);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
    this.canvas.addEventListener("pointerenter", () => this.draw()); // the graph may have been zoomed since
    comparers.add(this);
    this.player.goTo(before?.player.frame ?? 0);
  }

  /** Stop, and let go of everything but the elements. */
  destroy() {
    comparers.delete(this);
    this.listening.abort();
    this.resized.disconnect();
    this.player.destroy();
  }

  focus() {
    this.root.focus({ preventScroll: true });
  }

  /** Show what has changed. */
  update() {
    this.controls.update();
    const longest = Math.max(...this.videos.map(({ frames }) => frames));
    const counts = this.videos.map(({ name, frames }) => `${name.toUpperCase()} ${frames}`).join(", ");
    const sentence = say("Frames: {counts}. What is longer is shown up to the end of the shortest.", { counts });
    const uneven = longest > this.player.length ? sentence : "";
    this.note.textContent = this.player.trouble || uneven;
    this.note.hidden = !this.note.textContent;
    this.draw();
  }

  /** Draw at the next opportunity, once. */
  draw() {
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = undefined;
      if (comparers.has(this)) this.paintNow();
    });
  }

  paintNow() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio;
    const size = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
    if (!size.width || !size.height) return;
    this.resizeTo(size);
    paint(this.canvas.getContext("2d"), {
      ...this.shown,
      labels: this.videos.map(({ name, called }) => `${name.toUpperCase()}  ${called}`),
      places: this.places,
      view: this.view,
      fitted: this.fitted,
      gain: this.gain,
      ratio,
      background: getComputedStyle(this.canvas).backgroundColor,
    });
  }

  get shown() {
    const { dividers, difference, whole } = this;
    return { images: this.player.pictures(), dividers, difference, whole };
  }

  resizeTo(size) {
    const { canvas } = this;
    const grows = size.width / canvas.width;
    const isNew = !this.sized;
    if (isNew || size.width !== canvas.width || size.height !== canvas.height) {
      Object.assign(canvas, size);
      this.sized = true;
      // The same part of the picture, if its shape allows: what lies in the middle stays there.
      if (!this.fitted) this.view = { scale: this.view.scale * grows, x: this.view.x * grows, y: this.view.y * grows };
    }
    if (this.fitted) this.view = fit(this.picture, canvas);
  }

  /** Where a pointer is, in device pixels of the canvas. */
  pointOf({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const { canvas } = this;
    return { x: ((clientX - left) / width) * canvas.width, y: ((clientY - top) / height) * canvas.height };
  }

  /** Which divider is near, by its place among all; -1 if none is. */
  dividerAt(x, reach) {
    const { dividers } = strips(this.shown);
    const near = (part) => Math.abs(part * this.canvas.width - x) <= reach * window.devicePixelRatio;
    return this.dividers.findIndex((part) => dividers.includes(part) && near(part));
  }

  /** Put a divider somewhere between its neighbours. */
  setDivider(place, part) {
    const least = this.dividers[place - 1] ?? 0;
    const most = this.dividers[place + 1] ?? 1;
    this.dividers[place] = Math.min(Math.max(part, least), most);
    this.draw();
  }

  moveDivider(step) {
    this.setDivider(0, this.dividers[0] + step);
  }

  pan(x, y) {
    this.fitted = false;
    this.view = { ...this.view, x: this.view.x + x, y: this.view.y + y };
    this.draw();
  }

  zoom(factor, point = this.middle) {
    this.fitted = false;
    this.view = zoomAt(this.view, point, this.view.scale * factor);
    this.draw();
  }

  fitAll() {
    this.fitted = true;
    this.view = fit(this.picture, this.canvas);
    this.draw();
  }

  /** One pixel of the screen for one of the picture; a point stays where it is. */
  onePixelToOne(point) {
    this.fitted = false;
    this.view = point ? zoomAt(this.view, point, 1) : centred(this.picture, this.canvas, 1);
    this.draw();
  }

  get middle() {
    return { x: this.canvas.width / 2, y: this.canvas.height / 2 };
  }

  /** @param {number | null} video the one to show alone; null shows all */
  showWhole(video) {
    this.whole = video;
    this.update();
  }

  toggleDifference() {
    this.difference = !this.difference;
    this.whole = null;
    this.update();
  }

  setGain(gain) {
    this.gain = gain;
    this.difference = true;
    this.update();
  }

  /** Let the loop begin or end with the frame that is shown. */
  markLoop(end) {
    const { frame, length, loop } = this.player;
    const ends = { from: 0, to: length - 1, ...loop, [end]: frame };
    if (ends.from > ends.to) ends[end === "from" ? "to" : "from"] = end === "from" ? length - 1 : 0;
    this.player.setLoop(ends.from, ends.to);
  }

  /** Pixels that the longer side of a picture has on the screen, in steps; exact pictures are asked for by 0. */
  sideNeeded() {
    const longest = Math.max(this.picture.width, this.picture.height);
    return Math.min(Math.ceil((longest * this.view.scale) / SIDE_STEP) * SIDE_STEP || SIDE_STEP, 2 ** 14);
  }

  /** Download what is seen. */
  async save() {
    this.paintNow();
    const blob = await new Promise((done) => this.canvas.toBlob(done, "image/png"));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `comparison_${String(this.player.frame).padStart(6, "0")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  async toggleFullScreen() {
    try {
      await (document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen());
    } catch (error) {
      const summary = say("Compare Videos");
      app.extensionManager.toast.add({ severity: "error", summary, detail: error.message, life: 6000 });
    }
    this.focus();
    this.draw();
  }
}
