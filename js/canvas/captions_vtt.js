/** WebVTT for the caption editor: cues can be changed; notes, styles and all the rest stay as they were written. */

/** Seconds: the end of a cue that has none. */
export const LONGEST = 99 * 3600 + 59 * 60 + 59.999;

const STAMP = "(?:\\d+:)?\\d{2}:\\d{2}\\.\\d{3}";
const TIMING = new RegExp(`^(${STAMP})\\s+-->\\s+(${STAMP})(\\s.*)?$`);
const NO_CUES = ["NOTE", "STYLE", "REGION"];
const SPACES = /[\s\x1c-\x1f\x85]+/g; // Python's idea of white space too

/**
 * @typedef {{start: number, end: number, text: string}} Cue from `start` to `end`, in seconds
 * @typedef {{raw: string, cue: Cue | null, problem?: string}} Block something between two empty lines; `problem` says
 *     why it was meant as a cue and is none
 * @typedef {{plain: boolean, head: string, blocks: Block[]}} Captions `plain`: one text for the whole video, no WebVTT
 */

/**
 * @param {string} text
 * @returns {boolean} whether it is WebVTT, rather than plain text
 */
export function isWebVtt(text) {
  return /^WEBVTT(\s|$)/.test(stripped(text));
}

/**
 * Read WebVTT, or take plain text for the whole video.
 *
 * @param {string} text
 * @returns {Captions}
 */
export function readCaptions(text) {
  const clean = stripped(text.replaceAll("\r\n", "\n"));
  if (!isWebVtt(clean)) {
    const words = clean.replace(SPACES, " ").trim();
    return { plain: true, head: "WEBVTT", blocks: words ? [{ raw: words, cue: wholeVideo(words) }] : [] };
  }
  let [head, ...blocks] = clean.split(/\n\s*\n/);
  if (head.includes("-->")) {
    // No empty line after the first one; everybody reads that too.
    const end = head.indexOf("\n");
    blocks = [head.slice(end + 1), ...blocks];
    head = head.slice(0, end);
  }
  return { plain: false, head, blocks: blocks.filter((raw) => raw.trim()).map(readBlock) };
}

/**
 * @param {Captions} captions
 * @returns {string} what `readCaptions` reads back; nothing if there is nothing left
 */
export function writeCaptions({ plain, head, blocks }) {
  if (!blocks.length) return "";
  if (plain) return blocks[0].cue.text;
  return `${[head, ...blocks.map((block) => block.raw.trim())].join("\n\n")}\n`;
}

/**
 * A block for a cue. Angle brackets, which would be markup or an arrow, are left out; white space becomes single spaces.
 *
 * @param {Cue} cue
 * @param {Block} [before] the block it takes the place of: its name and its settings stay
 * @returns {Block}
 */
export function cueBlock(cue, before) {
  const start = Math.round(Math.max(cue.start, 0) * 1000);
  const end = Math.max(Math.round(Math.min(cue.end, LONGEST) * 1000), start + 1);
  const words = cue.text.replace(/[<>]/g, "").replace(SPACES, " ").trim();
  const lines = before?.raw.trim().split("\n") ?? [];
  const place = lines.findIndex((line) => line.includes("-->"));
  const settings = place < 0 ? "" : TIMING.exec(lines[place].trim())?.[3] ?? "";
  const name = place === 1 ? [lines[0]] : [];
  const raw = [...name, `${stamp(start)} --> ${stamp(end)}${settings.trimEnd()}`, words].join("\n");
  return { raw: raw.trimEnd(), cue: { start: start / 1000, end: end / 1000, text: words } };
}

/**
 * @param {string} text the text of the whole video
 * @returns {Cue}
 */
export function wholeVideo(text) {
  return { start: 0, end: LONGEST, text };
}

/**
 * A time for people to read and to write: `1:02.500`, or `1:00:02.500`; seconds alone are read too.
 *
 * @param {number} seconds
 */
export function clock(seconds) {
  const all = Math.round(seconds * 1000);
  const minutes = Math.floor(all / 60000);
  const rest = `${String(Math.floor((all % 60000) / 1000)).padStart(2, "0")}.${String(all % 1000).padStart(3, "0")}`;
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/**
 * @param {string} text
 * @returns {number} seconds; NaN if it is no time
 */
export function readClock(text) {
  if (!/^\s*(\d+:){0,2}\d+([.,]\d*)?\s*$/.test(text)) return NaN;
  return text.replace(",", ".").split(":").reduce((seconds, part) => seconds * 60 + Number(part), 0);
}

/** @param {string} raw */
function readBlock(raw) {
  const lines = raw.trim().split("\n").map((line) => line.trim());
  if (NO_CUES.includes(lines[0].split(" ")[0])) return { raw, cue: null };
  const place = lines.slice(0, 2).findIndex((line) => line.includes("-->"));
  const match = place < 0 ? null : TIMING.exec(lines[place]);
  if (!match) return { raw, cue: null, problem: `There is no time such as 00:01.000 --> 00:04.000 in “${lines[0]}”.` };
  const cue = { start: readClock(match[1]), end: readClock(match[2]), text: "" };
  if (cue.end <= cue.start) return { raw, cue: null, problem: `A caption ends before it starts: ${lines[place]}` };
  cue.text = lines.slice(place + 1).join(" ").replace(/<[^>]*>/g, "").replace(SPACES, " ").trim();
  return { raw, cue };
}

function stamp(milliseconds) {
  const minutes = Math.floor(milliseconds / 60000);
  const two = (number) => String(number).padStart(2, "0");
  const seconds = `${two(Math.floor((milliseconds % 60000) / 1000))}.${String(milliseconds % 1000).padStart(3, "0")}`;
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${seconds}`;
}

function stripped(text) {
  return text.replace(/^[\ufeff \n\t\r]+|[\ufeff \n\t\r]+$/g, "");
}
