/** Captions shot by shot: a picture, the times and the text of each, edited in place. Knows nothing of nodes. */

import { LONGEST, clock, cueBlock, readCaptions, readClock, wholeVideo, writeCaptions } from "./captions_vtt.js";
import { say } from "./language.js";
import { element } from "./timeline_frames.js";

/** A picture stands for a caption so many seconds after its start, at most: what follows may be another scene. */
const INTO = 2;

/**
 * @typedef {object} Field the text that is edited
 * @property {() => string} read
 * @property {(text: string) => void} write
 * @property {() => string} refusal why it cannot be edited; empty if it can
 * @property {(seconds: number) => Promise<string | null>} picture the address of what is shown then
 * @property {(seconds: number) => void} seek show that moment elsewhere
 */

/**
 * Edits a field, which may be edited by other means as well: see `refresh`. While it is empty, the captions of the last
 * run are shown; whoever changes one of them takes them all over into the field.
 */
export class CaptionEditor {
  /** @param {Field} field */
  constructor(field) {
    this.field = field;
    this.found = "";
    this.takeOver = this.button(say("Take over the last run's"), say("Put what the last run wrote into the field"), () =>
      this.replace(this.found),
    );
    this.clear = this.button(say("Remove all"), say("Empty the field: the model writes again"), () => this.replace(""));
    this.start = this.button(say("Write your own"), say("A first caption, for the whole video"), () => this.addFirst());
    this.says = element("p", { className: "textovsr-note" });
    this.list = element("ol");
    this.list.dataset.captureWheel = "true"; // where nodes are HTML, the wheel zooms the graph otherwise
    const bar = element("div", { className: "textovsr-bar" }, this.takeOver, this.start, this.clear);
    this.root = element("div", { className: "textovsr-captions" }, bar, this.says, this.list);
    // Keys are for the text, not for the canvas; nor does a pointer in here drag the node, or a wheel zoom the canvas.
    for (const kind of ["keydown", "pointerdown", "dblclick", "copy", "cut", "paste"]) {
      this.root.addEventListener(kind, (event) => event.stopPropagation());
    }
    this.root.addEventListener("wheel", (event) => this.scrolls(event) && event.stopPropagation());
    this.refresh(true);
  }

  /**
   * What the last run wrote.
   *
   * @param {string} captions
   */
  offer(captions) {
    this.found = captions;
    this.refresh(true);
  }

  /**
   * Show what is in the field now.
   *
   * @param {boolean} [always] even if the text is the same: pictures may have changed
   */
  refresh(always = false) {
    const text = this.field.read();
    if (!always && text === this.shown) return;
    this.shown = text;
    this.captions = readCaptions(text.trim() ? text : this.found);
    const controls = () => [...this.list.querySelectorAll("textarea, input, button")];
    const [place, top] = [controls().indexOf(document.activeElement), this.list.scrollTop];
    this.list.replaceChildren(...this.captions.blocks.filter(({ cue }) => cue).map((block) => this.row(block)));
    this.update();
    this.list.scrollTop = top;
    if (place >= 0) controls()[place]?.focus();
  }

  /** @private Buttons, and the sentence below them. */
  update() {
    const refusal = this.field.refusal();
    const { blocks, plain } = this.captions;
    const problem = blocks.find((block) => block.problem)?.problem;
    const count = blocks.filter(({ cue }) => cue).length;
    const empty = !this.shown.trim();
    this.takeOver.hidden = !this.found || this.found === this.shown;
    this.start.hidden = blocks.length > 0;
    this.clear.hidden = empty;
    const number = count === 1 ? say("1 caption") : say("{count} captions", { count });
    const counted = plain ? say("One text for the whole video") : number;
    const whose = empty
      ? say("{counted} of the last run; a change takes all of them over.", { counted })
      : say("{counted}.", { counted });
    this.says.textContent = refusal || problem || (blocks.length ? whose : say("There are no captions yet."));
    this.says.classList.toggle("textovsr-problem", Boolean(refusal || problem));
    for (const control of this.root.querySelectorAll("textarea, input, button")) control.disabled = Boolean(refusal);
  }

  /** @private */
  row(block) {
    const text = element("textarea", { value: block.cue.text, rows: 2, ariaLabel: say("Caption"), spellcheck: true });
    text.addEventListener("input", () => this.change(block, { text: text.value }));
    return element("li", {}, this.thumbnail(block.cue), element("div", {}, this.times(block), text));
  }

  /** @private */
  thumbnail({ start, end }) {
    const moment = start + Math.min((end - start) / 2, INTO);
    const image = element("img", { alt: "", draggable: false, hidden: true });
    const button = element("button", { className: "textovsr-thumbnail", type: "button" }, image);
    button.title = say("Show {time} in Compare Videos", { time: clock(start) });
    button.ariaLabel = button.title;
    button.addEventListener("click", () => this.field.seek(start));
    image.addEventListener("load", () => (image.hidden = false));
    whenSeen(button, async () => {
      const address = await this.field.picture(moment);
      if (address) image.src = address;
    });
    return button;
  }

  /** @private The times of a caption, and what can be done with it. */
  times(block) {
    const split = this.button(say("Split"), say("Make two captions of it"), () => this.split(block));
    const remove = this.button("✕", say("Remove this caption"), () => this.remove(block));
    const tools = [element("span", { className: "textovsr-space" }), split, remove];
    if (this.captions.plain) return element("div", { className: "textovsr-times" }, say("whole video"), ...tools);
    const inputs = ["start", "end"].map((name) => this.time(block, name));
    return element("div", { className: "textovsr-times" }, inputs[0], "–", inputs[1], ...tools);
  }

  /** @private */
  time(block, name) {
    const written = () => (name === "end" && block.cue.end >= LONGEST ? "end" : clock(block.cue[name]));
    const input = element("input", { value: written(), ariaLabel: name, spellcheck: false });
    input.title = name === "start" ? say("Start: 1:02.5, or seconds") : say("End: 1:02.5, or seconds, or end");
    input.addEventListener("change", () => {
      const last = name === "end" && input.value.trim() === "end";
      const cue = { ...block.cue, [name]: last ? LONGEST : readClock(input.value) };
      const valid = cue.end > cue.start;
      input.setCustomValidity(valid ? "" : say("A time such as 1:02.5; a caption ends after it starts."));
      input.reportValidity();
      if (!valid) return;
      this.change(block, cue);
      input.value = written();
      input.closest("li").firstChild.replaceWith(this.thumbnail(block.cue));
    });
    return input;
  }

  /** @private */
  change(block, part) {
    const cue = { ...block.cue, ...part };
    Object.assign(block, this.captions.plain ? { cue } : cueBlock(cue, block));
    this.write();
  }

  /** @private */
  split(block) {
    const { start, end, text } = block.cue;
    const middle = start + Math.min((end - start) / 2, INTO);
    this.captions.plain = false;
    const halves = [cueBlock({ start, end: middle, text }, block), cueBlock({ start: middle, end, text })];
    this.captions.blocks.splice(this.captions.blocks.indexOf(block), 1, ...halves);
    this.write();
    this.refresh(true);
  }

  /** @private */
  remove(block) {
    const { blocks } = this.captions;
    blocks.splice(blocks.indexOf(block), 1);
    this.replace(blocks.some(({ cue }) => cue) ? writeCaptions(this.captions) : "");
  }

  /** @private */
  addFirst() {
    this.replace(writeCaptions({ plain: false, head: "WEBVTT", blocks: [cueBlock(wholeVideo(""))] }));
    this.list.querySelector("textarea")?.focus();
  }

  /** @private */
  replace(text) {
    this.field.write(text);
    this.refresh(true);
  }

  /** @private Without drawing the rows anew: someone writes in one of them. */
  write() {
    this.shown = writeCaptions(this.captions);
    this.field.write(this.shown);
    this.update();
  }

  /** @private */
  button(label, title, act) {
    const button = element("button", { type: "button", textContent: label, title, ariaLabel: title });
    button.addEventListener("click", act);
    return button;
  }

  /** @private Whether something below the pointer has more than it shows. */
  scrolls({ target, ctrlKey }) {
    return !ctrlKey && [this.list, target].some((each) => each.scrollHeight > each.clientHeight + 1);
  }
}

/** Do something once an element is first on the screen: a film has a thousand shots. */
function whenSeen(target, act) {
  const watch = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    act();
  });
  watch.observe(target);
}
