/** Values of every frame, from the table that a node saved. */

import { api } from "../../../scripts/api.js";

const FIXED = ["frame", "seconds", "shot", "reference_seconds"];

/** Without a list of the worst moments: how many are looked for, and how long each is in seconds (or frames). */
const WORST = 6;
const WINDOW = 1;
const WINDOW_FRAMES = 10;

/**
 * @typedef {{name: string, heading: string, digits: number, higher: boolean}} Measure `higher` is better
 * @typedef {{start: number, end: number, row: number}} Moment a part of the time axis and its worst row
 * @typedef {{frames: Float64Array, times: Float64Array, clock: boolean, shots: Float64Array | null,
 *     columns: Map<string, Float64Array>}} Table `times` are seconds, or frames where there is no clock
 */

/**
 * @param {{filename: string, subfolder: string, type: string}} file
 * @returns {Promise<Table>}
 */
export async function loadTable({ filename, subfolder, type }) {
  const response = await api.fetchApi(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
  if (!response.ok) throw new Error(`${filename} is not there any more.`);
  return readTable(await response.text());
}

/**
 * @param {string} text CSV, numbers below a line of names; an empty cell is no value
 * @returns {Table}
 */
export function readTable(text) {
  const [head, ...lines] = text.split(/\r?\n/);
  const rows = lines.filter((line) => line);
  const names = cells(head);
  const targets = names.map(() => new Float64Array(rows.length));
  const columns = new Map(names.map((name, column) => [name, targets[column]]));
  rows.forEach((line, row) => {
    const values = line.split(",");
    targets.forEach((target, column) => (target[row] = values[column] ? Number(values[column]) : NaN));
  });
  const [frames, seconds, shots] = FIXED.map((name) => columns.get(name));
  FIXED.forEach((name) => columns.delete(name));
  return { frames, times: seconds ?? frames, clock: Boolean(seconds), shots: shots ?? null, columns };
}

/** The cells of one line; those that hold commas are quoted. */
function cells(line) {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, bare]) =>
    quoted === undefined ? bare : quoted.replaceAll('""', '"'),
  );
}

/**
 * What as many columns of pixels show: nothing that lies in one of them is lost, however short it was.
 *
 * @param {Table} table
 * @param {Float64Array} values of a measure
 * @param {number} count of columns
 * @returns {{x: number, least: number, most: number, mean: number, gap: boolean}[]} `x` from 0 to 1, from the left;
 *     `gap`: there are frames without a value before it
 */
export function thinned({ times }, values, count) {
  const first = times[0];
  const span = times[times.length - 1] - first || 1;
  const points = [];
  let [column, sum, number, gap] = [-1, 0, 0, false];
  for (let row = 0; row < times.length; row++) {
    const value = values[row];
    if (Number.isNaN(value)) {
      gap = true;
      continue;
    }
    const x = (times[row] - first) / span;
    const here = Math.min(Math.floor(x * count), count - 1);
    if (here !== column) {
      points.push({ x, least: value, most: value, mean: value, gap });
      [column, sum, number, gap] = [here, 0, 0, false];
    }
    const point = points[points.length - 1];
    point.least = Math.min(point.least, value);
    point.most = Math.max(point.most, value);
    sum += value;
    number += 1;
    point.mean = sum / number;
  }
  return points;
}

/**
 * The rows of a part of the time axis, as [first, last + 1].
 *
 * @param {Table} table
 * @param {number} start included
 * @param {number} end excluded
 */
export function rowsBetween({ times }, start, end) {
  return [firstFrom(times, start), firstFrom(times, end)];
}

/**
 * The row nearest to a time.
 *
 * @param {Table} table
 * @param {number} time
 */
export function nearestRow({ times }, time) {
  const after = Math.min(firstFrom(times, time), times.length - 1);
  return after > 0 && time - times[after - 1] < times[after] - time ? after - 1 : after;
}

/**
 * The worst of some rows; -1 if none has a value.
 *
 * @param {Float64Array} values
 * @param {boolean} higher is better
 * @param {number} [first]
 * @param {number} [end] excluded
 */
export function worstRow(values, higher, first = 0, end = values.length) {
  let worst = -1;
  for (let row = first; row < end; row++) {
    const better = higher ? values[row] < values[worst] : values[row] > values[worst];
    if (better || (worst < 0 && !Number.isNaN(values[row]))) worst = row;
  }
  return worst;
}

/**
 * The worst moments by the mean of a measure, the worst one first; no two overlap.
 *
 * @param {Table} table
 * @param {Float64Array} values
 * @param {boolean} higher is better
 * @returns {Moment[]}
 */
export function worstMoments(table, values, higher) {
  const length = table.clock ? WINDOW : WINDOW_FRAMES;
  const moments = [];
  for (let first = 0, end; first < table.times.length; first = end) {
    const start = table.times[first];
    end = Math.max(firstFrom(table.times, start + length), first + 1);
    const row = worstRow(values, higher, first, end);
    if (row < 0) continue;
    const known = values.slice(first, end).filter((value) => !Number.isNaN(value));
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    moments.push({ start, end: start + length, row, mean });
  }
  moments.sort((one, other) => (higher ? one.mean - other.mean : other.mean - one.mean));
  return moments.slice(0, Math.min(WORST, Math.ceil(moments.length / 4)));
}

/** The first row at or after a time. */
function firstFrom(times, time) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
