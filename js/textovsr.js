/**
 * What our nodes offer on the canvas. The nodes themselves work without it.
 *
 * The host loads every .js file of this folder; only this one registers anything.
 */

import { app } from "../../scripts/app.js";
import { followCaptions, offerCaptions } from "./canvas/captions.js";
import { showComparison } from "./canvas/compare.js";
import { showFiles } from "./canvas/files.js";
import { translateDefs, translateNode } from "./canvas/language.js";
import { followSystem } from "./canvas/systems.js";
import { showTimeline } from "./canvas/timeline.js";

/** Node id -> what is done with what a run left on such a node: `(node, output) => void`. */
const AFTER_A_RUN = {
  OVSR_CompareVideos: showComparison,
  OVSR_LLaVACaption: offerCaptions,
  OVSR_QualityReport: showReport,
  OVSR_CLIPIQAScore: showTimeline,
};

function showReport(node, output) {
  showFiles(node, output);
  showTimeline(node, output);
}

/**
 * The node of a locator: "7" in the outermost graph, "<uuid>:7" in a subgraph; undefined if it is gone.
 *
 * @param {string} locator
 */
function nodeAt(locator) {
  const [id, uuid] = locator.split(":").reverse();
  const graph = uuid ? app.graph.rootGraph?.subgraphs?.get(uuid) : app.graph.rootGraph ?? app.graph;
  return graph?.getNodeById(Number(id)) ?? undefined;
}

app.registerExtension({
  name: "TextOVSR.Nodes",

  addCustomNodeDefs: translateDefs,

  nodeCreated(node) {
    if (node.comfyClass?.startsWith("OVSR_")) translateNode(node);
    if (node.comfyClass === "OVSR_DiffusionRestore") followSystem(node);
    followCaptions(node);
    const show = AFTER_A_RUN[node.comfyClass];
    if (!show) return;
    const { onExecuted } = node;
    node.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      show(this, output);
    };
  },

  // Results come back without a run when a workflow is taken from the queue's history or its tab is shown again.
  onNodeOutputsUpdated(outputs) {
    for (const [locator, output] of Object.entries(outputs)) {
      const node = nodeAt(locator);
      AFTER_A_RUN[node?.comfyClass]?.(node, output);
    }
  },
});
