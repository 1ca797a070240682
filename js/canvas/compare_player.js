/** Which frame is shown, of all videos the same: stepping, playing, looping. */

import { Frames, numberAt } from "./compare_frames.js";

/** Frames that are fetched before they are due. */
const AHEAD = 6;

/** @typedef {import("./compare_frames.js").ComparedVideo} ComparedVideo */

/** Shows frame k of every video, or of none: a picture changes only when all have come. */
export class Player {
  /**
   * @param {ComparedVideo[]} videos
   * @param {object} watcher
   * @param {() => void} watcher.changed something that is seen has changed
   * @param {() => number} watcher.side pixels that the longer side of a picture has on the screen
   */
  constructor(videos, { changed, side }) {
    this.videos = videos;
    this.frames = videos.map((video) => new Frames(video));
    this.length = Math.min(...videos.map((video) => video.frames));
    this.rate = videos[0].rate;
    this.changed = changed;
    this.side = side;
    this.frame = 0;
    this.speed = 1;
    this.run = null; // what is playing now
    this.quest = null; // what fulfils the wishes for exact frames now
    this.asked = null; // the newest moment whose frame the server is being asked for
    /** @type {{from: number, to: number} | null} frames that are repeated, both ends included */
    this.loop = null;
    this.trouble = "";
    this.gone = false;
  }

  get playing() {
    return this.run !== null;
  }

  /** Whether an exact frame is wished for that is not shown yet. */
  get loading() {
    return this.quest !== null;
  }

  /** The pictures of the frame that is shown, by video; none of those that have not come. */
  pictures() {
    return this.frames.map((frames) => frames.at(this.frame)?.image);
  }

  /** When the frame is shown in the first video, in seconds; undefined as long as it has not come. */
  get seconds() {
    return this.frames[0].at(this.frame)?.seconds;
  }

  /**
   * Show a frame, exactly; of several wishes that come while one is being fulfilled, the last one counts.
   *
   * @param {number} number
   */
  async goTo(number) {
    if (!Number.isFinite(number)) return;
    this.asked = null;
    this.wanted = Math.min(Math.max(Math.round(number), 0), this.length - 1);
    if (this.loading) return;
    const quest = (this.quest = {});
    const goesOn = () => this.quest === quest;
    try {
      while (goesOn() && this.wanted !== undefined && !this.gone) {
        const next = this.wanted;
        await this.show(next, 0, goesOn);
        if (goesOn() && this.wanted === next) this.wanted = undefined;
      }
    } finally {
      if (goesOn()) this.quest = null; // else playing took over
      this.changed();
    }
  }

  /** @param {number} count frames, back if negative */
  step(count) {
    this.pause();
    return this.goTo((this.wanted ?? this.frame) + count);
  }

  /** Show the frame of a time, in seconds from the first frame of the first video, unless a newer wish overtakes it. */
  async seek(seconds) {
    this.pause();
    const asked = (this.asked = {});
    try {
      const number = await numberAt(this.videos[0], seconds);
      if (this.asked === asked) await this.goTo(number);
    } catch (error) {
      if (this.asked === asked) this.say(error);
    }
  }

  /** Play on, or stop. */
  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  /** Stop, and show the frame exactly. */
  pause() {
    if (!this.playing) return;
    this.run = null;
    this.goTo(this.frame);
  }

  /** Show frame after frame, none left out, until someone stops it or the end is reached. */
  async play() {
    if (this.playing) return;
    const run = (this.run = {});
    const goesOn = () => this.run === run && !this.gone;
    let next = this.wanted ?? (!this.loop && this.frame === this.length - 1 ? 0 : this.after(this.frame));
    this.wanted = undefined;
    this.quest = this.asked = null; // their answers come too late
    let due = performance.now();
    while (goesOn() && next !== null) {
      const inTime = async () => {
        await wait(due - performance.now());
        return goesOn();
      };
      if (!(await this.show(next, this.side(), inTime))) break;
      due = Math.max(due, performance.now() - 50) + 1000 / (this.rate * this.speed);
      this.prefetch(next);
      next = this.after(next);
    }
    if (!goesOn()) return;
    if (!this.trouble) return this.pause();
    this.run = null;
    this.changed();
  }

  /** Repeat the frames between two; the ends may come in any order. */
  setLoop(from, to) {
    this.loop = { from: Math.min(from, to), to: Math.max(from, to) };
    this.changed();
  }

  /** Repeat nothing any more. */
  clearLoop() {
    this.loop = null;
    this.changed();
  }

  /** Let go of everything. */
  destroy() {
    this.gone = true;
    this.run = null;
    for (const frames of this.frames) frames.destroy();
  }

  /** What is shown after a frame; null at the end. */
  after(number) {
    const { from, to } = this.loop ?? { from: 0, to: this.length - 1 };
    if (number < from) return from;
    if (number < to) return number + 1;
    return this.loop ? from : null;
  }

  prefetch(number) {
    const most = Math.min(AHEAD, ...this.frames.map((frames) => frames.room));
    for (let count = 0; count < most && number !== null; count++) {
      number = this.after(number);
      if (number === null) return;
      for (const frames of this.frames) frames.get(number, this.side()).catch(() => {}); // said when it is due
    }
  }

  /** Whether a frame is shown now; `goesOn` tells, once its pictures have come, whether it is still wished for. */
  async show(number, side, goesOn) {
    let trouble = "";
    try {
      await Promise.all(this.frames.map((frames) => frames.get(number, side)));
    } catch (error) {
      trouble = error.message;
    }
    if (this.gone || !(await goesOn())) return false;
    this.trouble = trouble;
    if (!trouble) this.frame = number;
    this.changed();
    return !trouble;
  }

  say(error) {
    this.trouble = error.message;
    this.changed();
  }
}

function wait(milliseconds) {
  return new Promise((done) => setTimeout(done, Math.max(milliseconds, 0)));
}
