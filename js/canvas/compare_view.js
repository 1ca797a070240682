/** Where pictures lie on the canvas, and how they are drawn: side by side at dividers, alone, or their difference. */

/** Device pixels for a pixel of the picture: from here on, someone who zooms in sees pixels as squares. */
const SQUARES_FROM = 3;
const LARGEST = 64;
const SMALLEST = 1 / 64;

/**
 * @typedef {{width: number, height: number}} Size
 * @typedef {{scale: number, x: number, y: number}} View device pixels for a pixel of the picture, and where it begins
 *
 * @typedef {object} Scene
 * @property {(ImageBitmap | undefined)[]} images of one frame, by video
 * @property {string[]} labels
 * @property {(Size & {x: number, y: number})[]} places where each video lies within the common picture
 * @property {View} view
 * @property {boolean} fitted whether the view is all of the picture, whatever its size
 * @property {number[]} dividers from left to right, as parts of the canvas's width
 * @property {boolean} difference
 * @property {number | null} whole the one video that is shown alone
 * @property {number} gain how many times differences are amplified: a power of 2
 * @property {number} ratio device pixels for a CSS pixel
 * @property {string} background
 */

/** Shapes that differ by less are taken to be the same: sizes are rounded to whole pixels. */
const SAME_SHAPE = 0.02;

/** The size of a video's picture with square pixels, none lost. */
const squared = ({ width, height, aspect }) =>
  aspect >= 1 ? { width: width * aspect, height } : { width, height: height / aspect };

/**
 * The size that all videos are drawn at: the largest one's, with square pixels.
 *
 * @param {{width: number, height: number, aspect: number}[]} videos
 * @returns {Size}
 */
export function commonSize(videos) {
  return videos
    .map(squared)
    .reduce((most, size) => (size.width * size.height > most.width * most.height ? size : most));
}

/**
 * Where a video lies within the common picture: all over it, or in the middle if its shape is another one.
 *
 * @param {{width: number, height: number, aspect: number}} video
 * @param {Size} picture
 * @returns {Size & {x: number, y: number}}
 */
export function placeIn(picture, video) {
  const { width, height } = squared(video);
  const shape = (width * picture.height) / (height * picture.width);
  if (Math.abs(shape - 1) < SAME_SHAPE) return { x: 0, y: 0, ...picture };
  const { scale, x, y } = fit({ width, height }, picture);
  return { x, y, width: width * scale, height: height * scale };
}

/**
 * All of the picture, in the middle.
 *
 * @param {Size} picture
 * @param {Size} canvas
 * @returns {View}
 */
export function fit(picture, canvas) {
  const scale = Math.min(canvas.width / picture.width, canvas.height / picture.height);
  return centred(picture, canvas, scale);
}

/** The middle of the picture in the middle of the canvas. */
export function centred(picture, canvas, scale) {
  return { scale, x: (canvas.width - picture.width * scale) / 2, y: (canvas.height - picture.height * scale) / 2 };
}

/**
 * Zoom so that what lies under a point stays there.
 *
 * @param {View} view
 * @param {{x: number, y: number}} point in device pixels
 * @param {number} scale the new one
 * @returns {View}
 */
export function zoomAt(view, point, scale) {
  const bounded = Math.min(Math.max(scale, SMALLEST), LARGEST);
  const factor = bounded / view.scale;
  return { scale: bounded, x: point.x - (point.x - view.x) * factor, y: point.y - (point.y - view.y) * factor };
}

/**
 * Which videos are seen between which dividers.
 *
 * @param {Pick<Scene, "images" | "dividers" | "difference" | "whole">} scene
 * @returns {{videos: number[], dividers: number[]}} as many dividers as videos, less one
 */
export function strips({ images, dividers, difference, whole }) {
  const all = images.map((_, number) => number);
  if (whole !== null) return { videos: [whole], dividers: [] };
  if (difference) return { videos: all.slice(1), dividers: dividers.slice(1) };
  return { videos: all, dividers };
}

/**
 * Draw a frame of all videos.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 */
export function paint(context, scene) {
  const { width, height } = context.canvas;
  const { videos, dividers } = strips(scene);
  const edges = [0, ...dividers.map((part) => Math.round(part * width)), width];
  const differs = scene.difference && scene.whole === null;
  context.fillStyle = differs ? "#000" : scene.background;
  context.fillRect(0, 0, width, height);
  videos.forEach((video, place) => {
    const [left, right] = [edges[place], edges[place + 1]];
    if (right <= left) return;
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, height);
    context.clip();
    if (differs) drawDifference(context, scene, video);
    else drawPicture(context, scene, video);
    const label = differs ? `${scene.labels[video]} − ${scene.labels[0]}, ×${scene.gain}` : scene.labels[video];
    drawLabel(context, scene.ratio, label, left);
    context.restore();
  });
  for (const edge of edges.slice(1, -1)) drawDivider(context, scene.ratio, edge);
}

function drawPicture(context, { view, fitted, images, places }, video) {
  if (!images[video]) return;
  const { x, y, width, height } = places[video];
  context.imageSmoothingEnabled = fitted || view.scale < SQUARES_FROM;
  context.imageSmoothingQuality = "high";
  const [left, top] = [view.x + x * view.scale, view.y + y * view.scale];
  context.drawImage(images[video], left, top, width * view.scale, height * view.scale);
}

let spare; // a canvas to compute differences on

function drawDifference(context, scene, video) {
  if (!scene.images[0] || !scene.images[video]) return;
  spare ??= document.createElement("canvas");
  Object.assign(spare, { width: context.canvas.width, height: context.canvas.height }); // clears it, too
  const layer = spare.getContext("2d");
  layer.fillStyle = "#000";
  layer.fillRect(0, 0, spare.width, spare.height);
  drawPicture(layer, scene, 0);
  layer.globalCompositeOperation = "difference";
  drawPicture(layer, scene, video);
  layer.globalCompositeOperation = "lighter";
  for (let gain = 1; gain < scene.gain; gain *= 2) layer.drawImage(spare, 0, 0); // twice itself
  context.drawImage(spare, 0, 0);
}

function drawLabel(context, ratio, text, left) {
  const [size, pad] = [12 * ratio, 5 * ratio];
  context.font = `${size}px sans-serif`;
  const { width } = context.measureText(text);
  const top = context.canvas.height - size - 3 * pad;
  context.fillStyle = "rgba(0, 0, 0, 0.6)";
  context.fillRect(left + pad, top, width + 2 * pad, size + 2 * pad);
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, left + 2 * pad, top + pad + size / 2);
}

function drawDivider(context, ratio, x) {
  const { height } = context.canvas;
  context.fillStyle = "rgba(0, 0, 0, 0.5)";
  context.fillRect(x - 2 * ratio, 0, 4 * ratio, height);
  context.fillStyle = "#fff";
  context.fillRect(x - ratio, 0, 2 * ratio, height);
  context.beginPath();
  context.arc(x, height / 2, 8 * ratio, 0, 2 * Math.PI);
  context.fill();
  context.strokeStyle = "rgba(0, 0, 0, 0.5)";
  context.lineWidth = ratio;
  context.stroke();
}
