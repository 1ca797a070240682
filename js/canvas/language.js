/**
 * Our texts in the user's language.
 *
 * The host does this for nodes by itself, except for front ends such as 1.32: there its own file for a language comes
 * in after the texts of the packs and replaces them. Those get them from here, through the same official hooks. What
 * our own controls say is translated by `say` on every front end. The texts are in locales/.
 */

import { app } from "../../../scripts/app.js";

/** The texts of the chosen language, as the host serves them; none in English. */
let texts = {};

/** Whether this front end lost them. */
let lost = false;

/**
 * Find the user's texts, and put them into the definitions of our nodes where the host did not.
 *
 * @param {Record<string, object>} defs node id -> definition, before the nodes are registered
 */
export async function translateDefs(defs) {
  const language = app.extensionManager.setting.get("Comfy.Locale");
  texts = (await app.api.getCustomNodesI18n())[language] ?? {};
  const ours = Object.values(defs).filter(({ name }) => name.startsWith("OVSR_") && texts.nodeDefs?.[name]);
  lost = ours.some(({ name, display_name }) => display_name !== texts.nodeDefs[name].display_name);
  for (const def of ours) {
    namePlaceholders(def, texts.nodeDefs[def.name]);
    if (lost) translateDef(def, texts.nodeDefs[def.name]);
  }
}

/** The fields of a definition: `[name, [type, options]]`. */
const fieldsOf = ({ input }) => [...Object.entries(input.required ?? {}), ...Object.entries(input.optional ?? {})];

/** Empty text areas show a name too, which no front end translates. */
function namePlaceholders(def, words) {
  for (const [name, spec] of fieldsOf(def)) {
    if (spec[1]?.multiline && words.inputs?.[name]) spec[1].placeholder ??= words.inputs[name].name;
  }
}

/** @param {object} def @param {object} words */
function translateDef(def, words) {
  def.display_name = words.display_name;
  def.description = words.description;
  def.category = def.category
    .split("/")
    .map((part) => texts.nodeCategories?.[part] ?? part)
    .join("/");
  for (const [name, spec] of fieldsOf(def)) {
    if (spec[1] && words.inputs?.[name]) spec[1].tooltip = words.inputs[name].tooltip;
  }
  def.output_tooltips = def.output_tooltips?.map((tooltip, index) => words.outputs?.[index]?.tooltip ?? tooltip);
}

/**
 * Name the widgets and the slots of a new node where the host did not; what is stored in a workflow stays.
 *
 * @param {object} node
 */
export function translateNode(node) {
  const words = lost && texts.nodeDefs[node.comfyClass];
  if (!words) return;
  for (const widget of node.widgets ?? []) widget.label = words.inputs?.[widget.name]?.name ?? widget.label;
  for (const input of node.inputs ?? []) {
    input.localized_name = words.inputs?.[input.name]?.name ?? input.localized_name;
  }
  for (const [index, output] of (node.outputs ?? []).entries()) {
    output.localized_name = words.outputs?.[index]?.name ?? output.localized_name;
  }
}

/**
 * What a control of ours says, in the user's language; English where main.json has no translation of it.
 *
 * @param {string} english with {name} where a value belongs
 * @param {Record<string, string | number>} [values]
 */
export function say(english, values = {}) {
  const text = texts.textovsr?.[english] ?? english;
  return text.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
}
