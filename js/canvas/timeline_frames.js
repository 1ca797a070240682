/** Pictures of videos that lie in the server's folders, and the comparers that show a moment. */

import { api } from "../../../scripts/api.js";

/** Pixels of the longer side of a small picture: sharp at twice the size it is drawn at. */
const SIDE = 320;

/** Half a millisecond: tables and captions hold rounded times, which may lie before their frame; no frame is as short. */
const ROUNDING = 0.0005;

/**
 * @typedef {{filename: string, subfolder: string, type: string, deinterlace?: string, start?: number}} ShownVideo where
 *     a video lies, and where in it the part begins that is meant, in seconds
 */

/**
 * @param {ShownVideo} video
 * @param {number} frame from 0
 * @returns {string} the address of a small picture of it
 */
export function pictureOf({ filename, subfolder, type, deinterlace = "auto" }, frame) {
  const query = { filename, subfolder, type, deinterlace, frame, format: "jpeg", side: SIDE };
  return api.apiURL(`/textovsr/frame?${new URLSearchParams(query)}`);
}

/**
 * The number of the frame that is shown at a time.
 *
 * @param {ShownVideo} video
 * @param {number} seconds from the video's beginning
 * @returns {Promise<number>}
 * @throws {Error} there is no such video, or no such time
 */
export async function frameAt({ filename, subfolder, type, deinterlace = "auto" }, seconds) {
  const query = new URLSearchParams({ filename, subfolder, type, deinterlace, seconds: seconds + ROUNDING });
  const response = await api.fetchApi(`/textovsr/frame_number?${query}`);
  const found = await response.json();
  if (!response.ok) throw new Error(found.error);
  return found.frame;
}

/**
 * Let every Compare Videos show a moment.
 *
 * @param {number} seconds from the first frame of what is compared: of the part, where only a part of a file is
 */
export function seek(seconds) {
  window.dispatchEvent(new CustomEvent("textovsr:seek", { detail: { seconds: seconds + ROUNDING } }));
}

/**
 * Style sheets of this folder: once each.
 *
 * @param {string} name for example "timeline.css"
 */
export function useStyle(name) {
  const href = new URL(name, import.meta.url).href;
  if (document.querySelector(`link[href="${CSS.escape(href)}"]`)) return;
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href }));
}

/**
 * An element with attributes and children; text is text, never markup.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
