/** Widgets of a node that belong to one of several systems. */

import { widgetOf } from "./widgets.js";

/** Widget -> the systems that it belongs to, as the node's `system` widget names them, without what their files are for. */
const BELONGS = {
  motion_guidance: ["MGLD-VSR", "SDATC"],
  fidelity: ["MGLD-VSR", "SDATC"],
  least_side: ["MGLD-VSR"],
  cfg: ["DiffVSR", "STAR", "STAR-CogVideoX"],
  noise_level: ["DiffVSR"],
  mode: ["STAR"],
};

/** What the canvas adds below every widget, in pixels of the graph. */
const GAP = 4;

/** Far above any node, in pixels of the graph. */
const OUT_OF_REACH = -1e5;

/**
 * Show the widgets of the chosen system only. Hidden ones keep their values and their places in saved workflows; those
 * that another node is connected to stay. Nodes that are drawn as HTML show all on front ends where those learn of no
 * change, such as 1.32; newer ones follow.
 *
 * @param {object} node a Diffusion Restore
 */
export function followSystem(node) {
  const system = widgetOf(node, "system");
  if (!system) return;

  const update = () => showOnly(node, system.value);
  after(system, "callback", update);
  after(node, "onConnectionsChange", update);
  after(node, "onConfigure", (saved) => {
    update();
    grow(node, saved.size); // as it was saved, with the same widgets
  });
  update();
}

/** Let a method do something more, once it is done. */
function after(object, method, more) {
  const before = object[method];
  object[method] = function (...values) {
    const result = before?.apply(this, values);
    more(...values);
    return result;
  };
}

/** What room the node has beyond its widgets stays: the caption may have been drawn larger. */
function showOnly(node, chosen) {
  const system = chosen.split(" (")[0]; // "STAR (light)" is STAR
  const [, before] = node.computeSize();
  for (const [name, owners] of Object.entries(BELONGS)) {
    const widget = widgetOf(node, name);
    if (!widget) continue;
    const linked = node.inputs.some((input) => input.widget?.name === name && input.link != null);
    if (owners.includes(system) || linked) show(widget);
    else hide(widget);
  }
  const [, now] = node.computeSize();
  grow(node, [node.size[0], node.size[1] + now - before]);
}

function grow(node, [width, height]) {
  const least = node.computeSize();
  node.setSize([Math.max(least[0], width), Math.max(least[1], height)]);
  node.setDirtyCanvas(true, true);
}

/** The canvas does not draw a hidden widget, but leaves its place free, and its slot catches links meant for the next. */
function hide(widget) {
  widget.hidden = true;
  widget.computeSize = () => [0, -GAP];
  Object.defineProperty(widget, "y", { get: () => OUT_OF_REACH, set() {}, enumerable: true, configurable: true });
}

function show(widget) {
  if (!widget.hidden) return;
  widget.hidden = false;
  delete widget.computeSize;
  Object.defineProperty(widget, "y", { value: 0, writable: true, enumerable: true, configurable: true });
}
