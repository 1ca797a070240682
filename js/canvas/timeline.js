/** The values of every frame on the node that measured them: a plot with a cursor, and the frame it stands on. */

import { say } from "./language.js";
import { element, frameAt, pictureOf, seek, useStyle } from "./timeline_frames.js";
import { Plot } from "./timeline_plot.js";
import { loadTable, nearestRow, rowsBetween, worstMoments, worstRow } from "./timeline_table.js";
import { addPassing, widen, widgetOf } from "./widgets.js";

const WIDGET = "quality_timeline";

/** Pixels of the graph that it needs at least. */
const WIDTH = 380;
const HEIGHT = 300;

/** Shift moves the cursor by this part of the video. */
const LEAP = 1 / 50;

const HINT = "Click: show this moment in Compare Videos. Arrows: other frames. Page up and down: the worst moments.";

/**
 * @typedef {{table: import("./files.js").SavedFile, video: import("./timeline_frames.js").ShownVideo | null,
 *     measures: import("./timeline_table.js").Measure[], chosen: string,
 *     worst: {start: number, duration: number, seconds: number}[] | null}} Found what the node tells of its run
 */

/**
 * Show the values of the newest run; those of an earlier one go.
 *
 * @param {object} node a Quality Report or a CLIP-IQA Score
 * @param {{timeline?: Found[]}} output
 */
export async function showTimeline(node, { timeline }) {
  if (!timeline?.length) return;
  useStyle("timeline.css");
  const root = (widgetOf(node, WIDGET) ?? addRoot(node)).element;
  const [found] = timeline;
  const key = JSON.stringify(found);
  if (root.dataset.shown === key) return; // told twice: by the run, and by the list of all outputs
  root.dataset.shown = key;
  try {
    const table = await loadTable(found.table);
    if (root.dataset.shown === key) root.replaceChildren(...new Timeline(found, table).parts);
  } catch (error) {
    if (root.dataset.shown !== key) return; // a newer run has come meanwhile
    root.replaceChildren(element("p", { className: "textovsr-note", textContent: error.message }));
    delete root.dataset.shown;
  }
}

function addRoot(node) {
  const root = element("div", { className: "textovsr-timeline" });
  root.style.minHeight = `${HEIGHT}px`;
  const options = { hideOnZoom: false, getMinHeight: () => HEIGHT + 20 };
  widen(node, WIDTH);
  return addPassing(node, node.addDOMWidget(WIDGET, "timeline", root, options));
}

class Timeline {
  /**
   * @param {Found} found
   * @param {import("./timeline_table.js").Table} table
   */
  constructor(found, table) {
    this.found = found;
    this.table = table;
    this.row = 0;
    this.plot = new Plot(table);
    this.list = this.makeList();
    this.readout = element("div", { className: "textovsr-readout" });
    this.said = element("div", { className: "textovsr-said" });
    this.image = element("img", { alt: "", draggable: false });
    this.pictures = new Pictures(this.image, (problem) => (this.note.textContent = problem));
    this.note = element("div", { className: "textovsr-note" });
    this.offset = this.findOffset();
    this.listen();
    this.choose(this.list.value);
    this.move(this.moments[0]?.row ?? 0);
  }

  /** What is put into the widget, from the top. */
  get parts() {
    const { times } = this.table;
    const [first, last] = [times[0], times[times.length - 1]];
    const axis = [first, (first + last) / 2, last].map((time) => element("span", { textContent: this.time(time) }));
    const words = element("div", { className: "textovsr-words" }, this.readout, this.said, this.note);
    return [
      element("div", { className: "textovsr-head" }, this.list),
      this.plot.root,
      element("div", { className: "textovsr-axis" }, ...axis),
      element("div", { className: "textovsr-frame" }, this.image, words),
    ];
  }

  /** @private */
  makeList() {
    const options = this.found.measures.map(({ name, heading, higher }) =>
      element("option", {
        value: name,
        textContent: higher
          ? say("{heading} (higher is better)", { heading })
          : say("{heading} (lower is better)", { heading }),
      }),
    );
    const list = element("select", { ariaLabel: say("Measure"), title: say("The measure that is plotted") }, ...options);
    list.value = this.found.chosen;
    return list;
  }

  /** @private */
  listen() {
    const { root } = this.plot;
    Object.assign(root, { tabIndex: 0, role: "slider", ariaLabel: say("Frame"), title: say(HINT) });
    root.addEventListener("pointermove", (event) => this.move(this.rowUnder(event.clientX)));
    root.addEventListener("click", (event) => {
      this.move(this.rowUnder(event.clientX));
      this.seek();
    });
    root.addEventListener("keydown", (event) => this.press(event));
    this.list.addEventListener("change", () => {
      this.choose(this.list.value);
      this.move(this.row);
    });
    // Neither drags the node nor presses the canvas's own keys.
    for (const kind of ["pointerdown", "dblclick"]) root.addEventListener(kind, (event) => event.stopPropagation());
    for (const kind of ["pointerdown", "keydown"]) this.list.addEventListener(kind, (event) => event.stopPropagation());
  }

  /** @private */
  choose(name) {
    this.measure = this.found.measures.find((measure) => measure.name === name) ?? this.found.measures[0];
    this.values = this.table.columns.get(this.measure.name);
    const told = this.found.worst?.map(({ start, duration, seconds }) => ({
      start,
      end: start + duration,
      row: nearestRow(this.table, seconds),
    }));
    this.moments = told ?? worstMoments(this.table, this.values, this.measure.higher);
    this.plot.draw(this.measure, this.moments);
  }

  /** @private The worst row below a pixel, lest it is passed over; or the nearest one. */
  rowUnder(clientX) {
    const [start, end] = this.plot.under(clientX);
    const worst = worstRow(this.values, this.measure.higher, ...rowsBetween(this.table, start, end));
    return worst < 0 ? nearestRow(this.table, (start + end) / 2) : worst;
  }

  /** @private */
  move(row) {
    this.row = Math.min(Math.max(row, 0), this.table.times.length - 1);
    const [value, frame] = [this.values[this.row], this.table.frames[this.row]];
    const told = Number.isNaN(value) ? say("no value") : value.toFixed(this.measure.digits);
    const time = this.time(this.table.times[this.row], true);
    const place = this.table.clock ? say("{time}, frame {frame}", { time, frame }) : time;
    this.plot.point(this.row);
    this.readout.textContent = told;
    this.said.textContent = place;
    const last = this.table.times.length - 1;
    Object.assign(this.plot.root, { ariaValueMin: 0, ariaValueMax: last, ariaValueNow: this.row });
    this.plot.root.ariaValueText = `${told}, ${place}`;
    this.show(frame);
  }

  /** @private */
  async show(frame) {
    const { video } = this.found;
    if (!video) {
      this.image.hidden = true;
      const why = say("No pictures: the video does not lie in ComfyUI's folders.");
      this.note.textContent = this.table.clock ? why : say("No pictures: these are images.");
      return;
    }
    try {
      this.pictures.show(pictureOf(video, frame + (await this.offset)));
    } catch (error) {
      this.image.hidden = true;
      this.note.textContent = error.message;
    }
  }

  /** @private Numbers in the table count from the beginning of the part that was measured, pictures from the file's. */
  async findOffset() {
    const { video } = this.found;
    if (!video) return 0;
    return (await frameAt(video, this.table.times[0])) - this.table.frames[0];
  }

  /** @private */
  press(event) {
    const [step, rows] = [event.shiftKey ? Math.ceil(this.table.times.length * LEAP) : 1, this.table.times.length];
    const rowAfter = {
      ArrowLeft: () => this.row - step,
      ArrowRight: () => this.row + step,
      Home: () => 0,
      End: () => rows - 1,
      PageUp: () => this.nextMoment(-1),
      PageDown: () => this.nextMoment(1),
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") this.seek();
    else if (rowAfter[event.key]) this.move(rowAfter[event.key]());
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @private The row of the worst moment before (-1) or after (1) the cursor; the cursor's own if there is none. */
  nextMoment(direction) {
    const rows = this.moments.map(({ row }) => row).sort((one, other) => direction * (one - other));
    return rows.find((row) => direction * (row - this.row) > 0) ?? this.row;
  }

  /** @private */
  seek() {
    if (this.table.clock) seek(this.table.times[this.row] - this.table.times[0]);
  }

  /** @private A place on the axis for people; `exact` to the hundredth. */
  time(place, exact = false) {
    if (!this.table.clock) return say("frame {frame}", { frame: Math.round(place) });
    const digits = exact || this.table.times[this.table.times.length - 1] < 10 ? 2 : 0;
    const all = Math.round(place * 10 ** digits) / 10 ** digits;
    const [hours, minutes] = [Math.floor(all / 3600), Math.floor(all / 60) % 60];
    const seconds = (all % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
  }
}

/** Shows one picture after another, and leaves out those that were passed over while one was on its way. */
class Pictures {
  /**
   * @param {HTMLImageElement} image
   * @param {(problem: string) => void} tell
   */
  constructor(image, tell) {
    this.image = image;
    this.wanted = this.loading = null;
    const next = (problem) => {
      tell(problem);
      image.hidden = Boolean(problem);
      this.loading = null;
      if (this.wanted) this.show(this.wanted);
    };
    image.addEventListener("load", () => next(""));
    image.addEventListener("error", () => next(say("The picture cannot be shown; is the video still there?")));
  }

  /** @param {string} address */
  show(address) {
    this.wanted = address;
    if (this.loading) return;
    this.wanted = null;
    if (this.image.src === new URL(address, location.href).href) return;
    this.loading = address;
    this.image.src = address;
  }
}
