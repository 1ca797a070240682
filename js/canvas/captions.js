/** Captions of a node, shot by shot: what the last run wrote is taken over into the node's own text field and edited. */

import { CaptionEditor } from "./captions_editor.js";
import { isWebVtt } from "./captions_vtt.js";
import { say } from "./language.js";
import { frameAt, pictureOf, seek, useStyle } from "./timeline_frames.js";
import { addPassing, widen, widgetOf } from "./widgets.js";

const WIDGET = "caption_editor";

/** Pixels of the graph that it needs at least. */
const WIDTH = 380;
const HEIGHT = 260;

/** Milliseconds after the last key in the field: a film has a thousand captions, which are drawn anew. */
const PAUSE = 250;

/** Node id -> the text field that holds captions. */
const FIELDS = { OVSR_LLaVACaption: "captions", OVSR_TextOVSRUpscale: "caption", OVSR_DiffusionRestore: "caption" };

/**
 * Show the editor as soon as the field holds captions shot by shot, and let it follow the field.
 *
 * @param {object} node
 */
export function followCaptions(node) {
  const name = FIELDS[node.comfyClass];
  const field = name && widgetOf(node, name);
  if (!field) return;
  const follow = () => {
    const widget = widgetOf(node, WIDGET);
    if (widget) widget.editor.refresh();
    else if (isWebVtt(String(field.value))) addEditor(node, field);
  };
  const { callback } = field;
  let pause = 0;
  field.callback = function (...values) {
    callback?.apply(this, values);
    clearTimeout(pause);
    pause = setTimeout(follow, PAUSE);
  };
  const { onConfigure, onConnectionsChange } = node;
  node.onConfigure = function () {
    onConfigure?.apply(this, arguments);
    follow();
  };
  node.onConnectionsChange = function () {
    onConnectionsChange?.apply(this, arguments);
    widgetOf(node, WIDGET)?.editor.refresh(true);
  };
}

/**
 * Offer the captions of a run; the next run takes what stands in the field.
 *
 * @param {object} node an OVSR_LLaVACaption
 * @param {{text?: string[], captioned?: {video: import("./timeline_frames.js").ShownVideo | null}[]}} output
 *     `text` is the WebVTT
 */
export function offerCaptions(node, { text, captioned }) {
  if (!text?.length) return;
  const widget = widgetOf(node, WIDGET) ?? addEditor(node, widgetOf(node, FIELDS[node.comfyClass]));
  widget.video = captioned?.[0]?.video;
  widget.editor.offer(text.join(""));
}

function addEditor(node, field) {
  useStyle("captions.css");
  const video = () => widgetOf(node, WIDGET)?.video ?? loadedVideo(node);
  const editor = new CaptionEditor({
    read: () => String(field.value),
    write(text) {
      field.value = text;
      field.callback?.(text);
      node.setDirtyCanvas(true, true);
    },
    refusal() {
      const linked = node.inputs.find((input) => input.name === field.name)?.link != null;
      if (!linked) return "";
      return say("{field} is connected to another node: take that link away to edit the text here.", {
        field: field.name,
      });
    },
    async picture(seconds) {
      const shown = video();
      if (!shown) return null;
      try {
        return pictureOf(shown, await frameAt(shown, seconds));
      } catch {
        return null; // moved or deleted since: captions can be edited all the same
      }
    },
    seek: (seconds) => seek(seconds - (video()?.start ?? 0)),
  });
  editor.root.style.minHeight = `${HEIGHT}px`;
  const options = { hideOnZoom: false, getMinHeight: () => HEIGHT + 20 };
  widen(node, WIDTH);
  const widget = node.addDOMWidget(WIDGET, "captions", editor.root, options);
  widget.editor = editor;
  return addPassing(node, widget);
}

/**
 * The video of a loader that the node is connected to, which is known before any run.
 *
 * @param {object} node
 * @returns {import("./timeline_frames.js").ShownVideo | null}
 */
function loadedVideo(node) {
  const slot = node.inputs.findIndex((input) => input.name === "video");
  const loader = slot < 0 ? null : node.getInputNode(slot);
  if (loader?.comfyClass !== "OVSR_LoadVideo" || widgetOf(loader, "path")?.value) return null;
  const [, name, type] = /^(.*?)(?: \[(input|output|temp)\])?$/.exec(String(widgetOf(loader, "file")?.value ?? ""));
  if (!name) return null;
  const [filename, ...folders] = name.split("/").reverse();
  const start = Number(widgetOf(loader, "start")?.value ?? 0);
  return { filename, subfolder: folders.reverse().join("/"), type: type ?? "input", start };
}
