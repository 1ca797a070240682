/** Frames of one video: fetched from the server by number, and kept for a while. */

import { api } from "../../../scripts/api.js";

/** Memory for pictures of one video, and how many are kept whatever they weigh. */
const KEPT_BYTES = 192 * 1024 ** 2;
const KEPT_LEAST = 4;

/** Requests under way at once for one video; browsers have six connections to a server, for everything. */
const AT_ONCE = 2;

/**
 * @typedef {object} ComparedVideo what the node tells of a video
 * @property {string} name
 * @property {string} filename
 * @property {string} [called] what it is called on the canvas
 * @property {string} subfolder
 * @property {string} type
 * @property {string} deinterlace
 * @property {number} first number of the first frame within the file
 * @property {number} start its time in the file, in seconds
 * @property {number} frames
 * @property {number} rate
 * @property {number} width
 * @property {number} height
 * @property {number} aspect width over height of a pixel
 *
 * @typedef {{image: ImageBitmap, side: number, seconds: number}} Kept a picture; side is 0 if it is exact
 */

/** The address of one of our routes for a video. */
function address(route, { filename, subfolder, type, deinterlace }, more) {
  return api.apiURL(`/textovsr/${route}?${new URLSearchParams({ filename, subfolder, type, deinterlace, ...more })}`);
}

/** What the server answers; its own sentence if that is a refusal. */
async function ask(url, signal) {
  const response = await fetch(url, { signal });
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Error(said.error ?? `The server answered ${response.status} ${response.statusText}.`);
}

/**
 * The frame of a video that is shown at a time.
 *
 * @param {ComparedVideo} video
 * @param {number} seconds from its first frame
 * @returns {Promise<number>}
 */
export async function numberAt(video, seconds) {
  const answer = await ask(address("frame_number", video, { seconds: seconds + video.start }));
  return (await answer.json()).frame - video.first;
}

/** The pictures of one video that are at hand, or on their way. */
export class Frames {
  /** @param {ComparedVideo} video */
  constructor(video) {
    this.video = video;
    /** @type {Map<number, Kept>} the one used last comes last */
    this.kept = new Map();
    this.coming = new Map();
    this.waiting = [];
    this.busy = 0;
    this.stop = new AbortController();
  }

  /**
   * The best picture of a frame that is at hand.
   *
   * @param {number} number
   * @returns {Kept | undefined}
   */
  at(number) {
    const found = this.kept.get(number);
    if (found) {
      this.kept.delete(number);
      this.kept.set(number, found);
    }
    return found;
  }

  /**
   * Have a picture of a frame: the exact one, or one that is good enough while playing.
   *
   * @param {number} number
   * @param {number} [side] pixels that its longer side needs; 0 is the exact picture
   * @returns {Promise<Kept>}
   */
  async get(number, side = 0) {
    const found = this.at(number);
    if (found && (found.side === 0 || (side > 0 && found.side >= side))) return found;
    const key = `${number} ${side}`;
    let promise = this.coming.get(key);
    if (!promise) {
      promise = this.fetch(number, side).finally(() => this.coming.delete(key));
      this.coming.set(key, promise);
    }
    return promise;
  }

  /** How many more frames than the one that is shown there is room for. */
  get room() {
    return Math.max(Math.floor(KEPT_BYTES / this.weight / 2), KEPT_LEAST) - 1;
  }

  /** Let go of everything. */
  destroy() {
    this.stop.abort();
    for (const { image } of this.kept.values()) image.close();
    this.kept.clear();
  }

  /** Bytes of a picture, the largest of those at hand. */
  get weight() {
    const sizes = [...this.kept.values()].map(({ image }) => image.width * image.height);
    return 4 * Math.max(1, ...sizes);
  }

  async fetch(number, side) {
    while (this.busy >= AT_ONCE) await new Promise((done) => this.waiting.push(done));
    this.busy++;
    try {
      const quick = side > 0 ? { format: "jpeg", side } : { format: "png" };
      const url = address("frame", this.video, { frame: this.video.first + number, ...quick });
      const answer = await ask(url, this.stop.signal);
      const seconds = Number(answer.headers.get("X-TextOVSR-Seconds")) - this.video.start;
      const image = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
      return this.keep(number, { image, side, seconds });
    } finally {
      this.busy--;
      this.waiting.shift()?.();
    }
  }

  keep(number, picture) {
    this.stop.signal.throwIfAborted();
    const before = this.kept.get(number);
    if (before && before.side === 0) {
      picture.image.close(); // the exact one came first
      return before;
    }
    before?.image.close();
    this.kept.delete(number);
    this.kept.set(number, picture);
    const most = Math.max(Math.floor(KEPT_BYTES / this.weight), KEPT_LEAST);
    for (const [oldest, { image }] of this.kept) {
      if (this.kept.size <= most) break;
      image.close();
      this.kept.delete(oldest);
    }
    return picture;
  }
}
