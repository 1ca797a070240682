/** LLaVA Caption: its captions, moved into its own text field, where they can be edited. */

import { app } from "../../../scripts/app.js";
import { addPassing, widgetOf } from "./widgets.js";

const BUTTON = "Edit these captions"; // its name: not every kind of canvas shows labels
const FIELD = "captions";

/**
 * Put a button on the node that copies the captions of this run into the field; the next run takes what stands there.
 *
 * @param {object} node an OVSR_LLaVACaption
 * @param {{text?: string[]}} output `text` is the WebVTT
 */
export function offerCaptions(node, { text }) {
  if (!text?.length) return;
  const button = widgetOf(node, BUTTON) ?? addButton(node);
  button.captions = text.join("");
}

function addButton(node) {
  const button = node.addWidget("button", BUTTON, null, () => edit(node, button.captions));
  button.tooltip = "Copy the captions of the last run into captions; the next run takes what stands there.";
  return addPassing(node, button);
}

function edit(node, captions) {
  if (node.inputs.find((input) => input.name === FIELD)?.link != null) {
    const detail = "captions is connected to another node: take that link away to edit the text here.";
    app.extensionManager.toast.add({ severity: "info", summary: node.title, detail, life: 6000 });
    return;
  }
  const field = widgetOf(node, FIELD);
  field.value = captions;
  field.callback?.(captions);
  field.element?.focus(); // a plain canvas widget has no element
  node.setDirtyCanvas(true, true);
}
