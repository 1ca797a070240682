/** Widgets that a run adds to a node. */

/**
 * Keep a widget out of saved workflows and prompts, so that the values of the others keep their places; make room.
 *
 * @template T
 * @param {object} node
 * @param {T} widget the newest one of `node`
 * @returns {T}
 */
export function addPassing(node, widget) {
  widget.serialize = false;
  widget.options.serialize = false;
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  node.setDirtyCanvas(true, true);
  showInHtml(node);
  return widget;
}

/** Nodes drawn as HTML do not learn of new widgets once a value was changed: they are made anew, as after a paste. */
function showInHtml(node) {
  if (window.LiteGraph?.vueNodesMode) node.graph?.onNodeAdded?.(node);
}

/**
 * Make a node as wide as something in it needs.
 *
 * @param {object} node
 * @param {number} width in pixels of the graph
 */
export function widen(node, width) {
  node.setSize([Math.max(node.size[0], width), node.size[1]]);
}

/**
 * A widget by its name.
 *
 * @param {object} node
 * @param {string} name
 */
export function widgetOf(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

/**
 * The title of the node that an input is connected to; undefined if there is none.
 *
 * @param {object} node
 * @param {string} name of the input
 */
export function titleBefore(node, name) {
  const at = node.inputs?.findIndex((input) => input.name === name) ?? -1;
  return at < 0 ? undefined : (node.getInputNode(at)?.title ?? undefined);
}
