/** What the comparer is steered with: buttons, keys and the pointer. */

import { say } from "./language.js";

/** @typedef {import("./compare.js").Comparer} Comparer */

/** A press that is shorter than this by the keyboard's clock, in milliseconds, stays when the key is let go. */
const SHORT = 300;

const DIVIDER_STEP = 0.02;
const ZOOM_STEP = 1.25;

/** How near to a divider it is taken hold of, in CSS pixels. */
const REACH = 10;

const SPEEDS = [0.1, 0.25, 0.5, 1, 2];
const GAINS = [1, 2, 4, 8, 16, 32];

/** Key -> what it does; those of letters whether large or small. */
const KEYS = {
  " ": (comparer) => comparer.player.toggle(),
  ",": (comparer) => comparer.player.step(-1),
  ".": (comparer) => comparer.player.step(1),
  ArrowLeft: (comparer, { shiftKey }) => comparer.player.step(shiftKey ? -10 : -1),
  ArrowRight: (comparer, { shiftKey }) => comparer.player.step(shiftKey ? 10 : 1),
  Home: (comparer) => comparer.player.step(-Number.MAX_SAFE_INTEGER),
  End: (comparer) => comparer.player.step(Number.MAX_SAFE_INTEGER),
  "[": (comparer) => comparer.moveDivider(-DIVIDER_STEP),
  "]": (comparer) => comparer.moveDivider(DIVIDER_STEP),
  "+": (comparer) => comparer.zoom(ZOOM_STEP),
  "=": (comparer) => comparer.zoom(ZOOM_STEP),
  "-": (comparer) => comparer.zoom(1 / ZOOM_STEP),
  0: (comparer) => comparer.showWhole(null),
  d: (comparer) => comparer.toggleDifference(),
  g: (comparer) => comparer.onePixelToOne(),
  h: (comparer) => comparer.fitAll(),
  i: (comparer) => comparer.markLoop("from"),
  o: (comparer) => comparer.markLoop("to"),
  x: (comparer) => comparer.player.clearLoop(),
  s: (comparer) => comparer.save(),
  f: (comparer) => comparer.toggleFullScreen(),
};

/**
 * The two rows below the pictures: where the player is, and what is seen.
 *
 * @param {Comparer} comparer
 * @returns {{bar: HTMLElement, update: () => void}} `update` shows what has changed
 */
export function makeControls(comparer) {
  const bar = element("div", { className: "textovsr-compare-bar" });
  const updates = [addPlace(bar, comparer)];
  bar.append(element("span", { className: "textovsr-compare-break" }));
  updates.push(addPictureChoice(bar, comparer), addLoop(bar, comparer));
  const speed = addChoice(bar, say("Speed"), SPEEDS, (value) => (comparer.player.speed = value));
  const save = { icon: "download", title: say("Save this picture as PNG (S)"), act: () => comparer.save() };
  addButton(bar, comparer, save);
  const large = { icon: "window-maximize", title: say("Full screen (F)"), act: () => comparer.toggleFullScreen() };
  addButton(bar, comparer, large);
  updates.push(() => (speed.value = comparer.player.speed));
  return { bar, update: () => updates.forEach((update) => update()) };
}

function addPlace(bar, comparer) {
  const button = (icon, title, act) => addButton(bar, comparer, { icon, title, act: () => act(comparer.player) });
  button("step-backward", say("One frame back ( , )"), (player) => player.step(-1));
  const play = button("play", say("Play or stop (Space)"), (player) => player.toggle());
  button("step-forward", say("One frame on ( . )"), (player) => player.step(1));
  const slider = addNumber("range", say("Frame"));
  slider.addEventListener("input", () => {
    comparer.player.pause();
    comparer.player.goTo(slider.valueAsNumber);
  });
  const mark = element("span", { className: "textovsr-compare-loop" });
  const track = element("span", { className: "textovsr-compare-track" });
  track.append(slider, mark);
  const number = addNumber("number", say("Number of the frame"));
  number.addEventListener("change", () => comparer.player.step(number.valueAsNumber - comparer.player.frame));
  const where = element("output", {});
  bar.append(track, number, where);
  return () => {
    const { frame, length, loop, playing, seconds } = comparer.player;
    setIcon(play, playing ? "pause" : "play");
    slider.max = number.max = length - 1;
    slider.value = frame;
    if (document.activeElement !== number) number.value = frame;
    where.textContent = say("of {last}", { last: length - 1 }) + (seconds === undefined ? "" : ` · ${clock(seconds)}`);
    showLoop(mark, loop, length - 1);
  };
}

function addPictureChoice(bar, comparer) {
  const button = (text, title, act) => addButton(bar, comparer, { text, title, act });
  const wholes = comparer.videos.map(({ name }, video) => {
    const letter = name.toUpperCase();
    const toggle = () => comparer.showWhole(comparer.whole === video ? null : video);
    return button(letter, say("{letter} alone (hold or press {key})", { letter, key: video + 1 }), toggle);
  });
  const differs = button(say("Difference"), say("Difference from A (D)"), () => comparer.toggleDifference());
  const amplified = say("How many times differences are amplified");
  const gain = addChoice(bar, amplified, GAINS, (value) => comparer.setGain(value));
  button(say("All"), say("All of the picture (H)"), () => comparer.fitAll());
  button("1:1", say("One pixel to one (G)"), () => comparer.onePixelToOne());
  return () => {
    gain.value = comparer.gain;
    differs.setAttribute("aria-pressed", comparer.difference);
    wholes.forEach((each, video) => each.setAttribute("aria-pressed", comparer.whole === video));
  };
}

function addLoop(bar, comparer) {
  const button = (icon, text, title, act) => addButton(bar, comparer, { icon, text, title, act });
  button("", say("In"), say("Loop from this frame on (I)"), () => comparer.markLoop("from"));
  button("", say("Out"), say("Loop up to this frame (O)"), () => comparer.markLoop("to"));
  const clear = button("times", "", say("No loop (X)"), () => comparer.player.clearLoop());
  return () => {
    clear.disabled = !comparer.player.loop;
  };
}

/**
 * Let keys steer the comparer while it has the focus; the host hears nothing of them.
 *
 * @param {HTMLElement} root
 * @param {Comparer} comparer
 * @param {AbortSignal} signal ends it
 */
export function listenToKeys(root, comparer, signal) {
  let held = null; // the number that is down, what was shown before it, and since when
  const pressed = (event) => {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey || typesInto(event.target)) return;
    if (event.target.tagName === "BUTTON" && [" ", "Enter"].includes(event.key)) return; // presses it
    const video = Number(event.key) - 1;
    if (video in comparer.videos) {
      if (!event.repeat) held = { key: event.key, before: comparer.whole, video, since: event.timeStamp };
      comparer.showWhole(video);
    } else {
      const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act) return;
      act(comparer, event);
    }
    event.preventDefault();
  };
  const released = (event) => {
    event.stopPropagation();
    if (held?.key !== event.key) return;
    const { before, video, since } = held;
    held = null;
    if (event.timeStamp - since > SHORT || before === video) comparer.showWhole(before === video ? null : before);
  };
  root.addEventListener("keydown", pressed, { signal });
  root.addEventListener("keyup", released, { signal });
}

/**
 * Drag dividers and the picture, zoom with the wheel.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Comparer} comparer
 */
export function listenToPointer(canvas, comparer) {
  let drag = null;
  const near = (event) => comparer.dividerAt(comparer.pointOf(event).x, REACH);
  canvas.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { divider: near(event), last: comparer.pointOf(event) };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) {
      canvas.style.cursor = near(event) === -1 ? "grab" : "ew-resize";
      return;
    }
    event.stopPropagation();
    const point = comparer.pointOf(event);
    if (drag.divider !== -1) comparer.setDivider(drag.divider, point.x / canvas.width);
    else comparer.pan(point.x - drag.last.x, point.y - drag.last.y);
    drag.last = point;
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (drag = null));
  canvas.addEventListener("dblclick", (event) => {
    event.stopPropagation();
    if (comparer.fitted) comparer.onePixelToOne(comparer.pointOf(event));
    else comparer.fitAll();
  });
  const turned = (event) => {
    event.preventDefault();
    event.stopPropagation();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY / 100 : event.deltaY / 3;
    comparer.zoom(ZOOM_STEP ** -lines, comparer.pointOf(event));
  };
  canvas.addEventListener("wheel", turned, { passive: false });
}

function addButton(bar, comparer, { icon = "", text = "", title, act }) {
  const button = element("button", { type: "button", title });
  button.setAttribute("aria-label", title);
  if (icon) button.append(element("i", {}));
  setIcon(button, icon);
  button.append(text);
  button.addEventListener("click", (event) => {
    act();
    if (event.detail > 0) comparer.focus(); // by a pointer: keys go on steering
  });
  bar.append(button);
  return button;
}

function addChoice(bar, title, values, choose) {
  const list = element("select", { title });
  list.setAttribute("aria-label", title);
  for (const value of values) list.append(element("option", { value, textContent: `×${value}` }));
  list.addEventListener("change", () => choose(Number(list.value)));
  bar.append(list);
  return list;
}

function addNumber(type, title) {
  const field = element("input", { type, min: 0, step: 1, value: 0, title });
  field.setAttribute("aria-label", title);
  return field;
}

function setIcon(button, icon) {
  const mark = button.querySelector("i");
  if (mark) mark.className = `pi pi-${icon}`;
}

function showLoop(mark, loop, last) {
  mark.hidden = !loop;
  if (!loop) return;
  mark.style.left = `${(100 * loop.from) / Math.max(last, 1)}%`;
  mark.style.right = `${100 - (100 * loop.to) / Math.max(last, 1)}%`;
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(3).padStart(6, "0")}`;
}

function typesInto(target) {
  return target.tagName === "SELECT" || (target.tagName === "INPUT" && target.type === "number");
}

function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
