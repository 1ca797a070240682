/** Widgets of a node that belong to one of several systems. */

import { widgetOf } from "./widgets.js";

/** Widget -> the system that it belongs to, as the node's `system` widget names it. */
const BELONGS = {
  motion_guidance: "MGLD-VSR",
  fidelity: "MGLD-VSR",
  least_side: "MGLD-VSR",
  cfg: "DiffVSR",
  noise_level: "DiffVSR",
};

/**
 * Show the widgets of the chosen system only. Hidden ones keep their values and their places in saved workflows.
 *
 * @param {object} node a Diffusion Restore
 */
export function followSystem(node) {
  const system = widgetOf(node, "system");
  if (!system) return;

  const update = () => {
    for (const [name, owner] of Object.entries(BELONGS)) {
      const widget = widgetOf(node, name);
      if (widget) widget.hidden = owner !== system.value;
    }
    const [width, height] = node.computeSize();
    node.setSize([Math.max(node.size[0], width), height]);
    node.setDirtyCanvas(true, true);
  };

  const { callback } = system;
  system.callback = function () {
    const result = callback?.apply(this, arguments);
    update();
    return result;
  };
  const { onConfigure } = node;
  node.onConfigure = function () {
    onConfigure?.apply(this, arguments);
    update();
  };
  update();
}
