/** A measure over time as a drawing; themed by the style sheet, sharp at every zoom. */

import { element } from "./timeline_frames.js";
import { thinned } from "./timeline_table.js";

const SVG = "http://www.w3.org/2000/svg";

/** The drawing's own units; it is stretched to whatever room there is. */
const WIDTH = 1000;
const HEIGHT = 100;

/** Up to so many points are marked one by one. */
const FEW = 60;

/** An axis spans so many of the last digit that is told at least, so that a steady video looks steady. */
const LEAST_DIGITS = 20;

/** Opacity of the worst moment, how much less the next ones have, and the least. */
const [DARKEST, PALER, PALEST] = [0.45, 0.1, 0.12];

/** Numbers are so far apart at least, as a part of the width. */
const APART = 0.03;

const AIR = 0.08; // of the axis, above and below

/**
 * @typedef {import("./timeline_table.js").Table} Table
 * @typedef {import("./timeline_table.js").Measure} Measure
 * @typedef {import("./timeline_table.js").Moment} Moment
 */

/** Draws a table's measure, its cuts, moments and a cursor. */
export class Plot {
  /** @param {Table} table */
  constructor(table) {
    this.table = table;
    this.drawing = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.top = element("span", { className: "textovsr-top" });
    this.bottom = element("span", { className: "textovsr-bottom" });
    this.marks = element("div", { className: "textovsr-marks" });
    this.dot = element("span", { className: "textovsr-dot" });
    this.line = element("span", { className: "textovsr-cursor" });
    this.root = element(
      "div", { className: "textovsr-plot" }, this.drawing, this.marks, this.line, this.dot, this.top, this.bottom,
    );
  }

  /**
   * Draw one measure.
   *
   * @param {Measure} measure
   * @param {Moment[]} moments the worst one first
   */
  draw(measure, moments) {
    this.values = this.table.columns.get(measure.name);
    const points = thinned(this.table, this.values, WIDTH);
    this.axis = axisOf(points, measure.digits);
    this.top.textContent = this.axis.most.toFixed(measure.digits);
    this.bottom.textContent = this.axis.least.toFixed(measure.digits);
    const shades = moments.map((moment, number) => this.shade(moment, number));
    this.drawing.replaceChildren(...shades, this.cuts(), ...this.curve(points));
    this.marks.replaceChildren(...this.numbers(moments));
  }

  /**
   * Put the cursor on a row.
   *
   * @param {number} row
   */
  point(row) {
    const value = this.values[row];
    this.line.style.left = this.dot.style.left = `${this.across(this.table.times[row]) * 100}%`;
    this.dot.hidden = Number.isNaN(value);
    if (!this.dot.hidden) this.dot.style.top = `${this.down(value) * 100}%`;
  }

  /**
   * The part of the time axis below a pixel of the screen.
   *
   * @param {number} clientX
   * @returns {[number, number]}
   */
  under(clientX) {
    const { left, width } = this.root.getBoundingClientRect();
    const { times } = this.table;
    const span = times[times.length - 1] - times[0];
    const time = (x) => times[0] + Math.min(Math.max((x - left) / width, 0), 1) * span;
    return [time(clientX - 0.5), time(clientX + 0.5)];
  }

  /** @private A time, from 0 (left) to 1. */
  across(time) {
    const { times } = this.table;
    const span = times[times.length - 1] - times[0];
    return span ? Math.min(Math.max((time - times[0]) / span, 0), 1) : 0.5;
  }

  /** @private A value, from 0 (top) to 1. */
  down(value) {
    return (this.axis.most - value) / (this.axis.most - this.axis.least);
  }

  /** @private The worse, the darker. */
  shade({ start, end }, number) {
    const [x, right] = [this.across(start) * WIDTH, this.across(end) * WIDTH];
    const opacity = Math.max(DARKEST - number * PALER, PALEST);
    return shape("rect", { class: "textovsr-worst", x, y: 0, width: Math.max(right - x, 2), height: HEIGHT, opacity });
  }

  /** @private Above the worst moments; one that would lie over that of a worse one is left out. */
  numbers(moments) {
    const taken = [];
    return moments.flatMap(({ row }, number) => {
      const place = this.across(this.table.times[row]);
      if (taken.some((other) => Math.abs(other - place) < APART)) return [];
      taken.push(place);
      const mark = element("span", { className: "textovsr-mark", textContent: String(number + 1) });
      mark.style.left = `${place * 100}%`;
      return mark;
    });
  }

  /** @private One path for all cuts, and one cut a column of pixels at most. */
  cuts() {
    const { shots, times } = this.table;
    const places = new Set();
    for (let row = 1; shots && row < shots.length; row++) {
      if (shots[row] !== shots[row - 1]) places.add(Math.round(this.across(times[row]) * WIDTH));
    }
    return shape("path", { class: "textovsr-cut", d: [...places].map((x) => `M${x} 0V${HEIGHT}`).join("") });
  }

  /** @private The band between the least and the most of a column, the line of the means, dots where there are few. */
  curve(points) {
    const at = (point, value) => `${(points.length > 1 ? point.x : 0.5) * WIDTH} ${this.down(value) * HEIGHT}`;
    const runs = [];
    for (const point of points) {
      if (point.gap || !runs.length) runs.push([]);
      runs[runs.length - 1].push(point);
    }
    const path = (run, value) => `M${run.map((point) => at(point, point[value])).join("L")}`;
    const back = (run) => `L${[...run].reverse().map((point) => at(point, point.least)).join("L")}Z`;
    const band = runs.map((run) => path(run, "most") + back(run)).join("");
    const lines = runs.map((run) => path(run, "mean")).join("");
    const dots = points.length > FEW ? "" : points.map((point) => `M${at(point, point.mean)}h0`).join("");
    return [
      shape("path", { class: "textovsr-band", d: band }),
      shape("path", { class: "textovsr-line", d: lines }),
      shape("path", { class: "textovsr-dots", d: dots }),
    ];
  }
}

function axisOf(points, digits) {
  let [least, most] = [Infinity, -Infinity];
  for (const point of points) [least, most] = [Math.min(least, point.least), Math.max(most, point.most)];
  if (!points.length) [least, most] = [0, 1];
  const lacking = Math.max(LEAST_DIGITS * 10 ** -digits - (most - least), 0) / 2;
  const air = (most - least + 2 * lacking) * AIR;
  return { least: least - lacking - air, most: most + lacking + air };
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
