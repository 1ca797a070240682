/** Quality Report: links to the page and the table that it saved. */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { say } from "./language.js";
import { addPassing, widgetOf } from "./widgets.js";

const WIDGET = "saved_files";

/** Height of one link and the room around all of them, in pixels of the graph. */
const LINE = 22;
const MARGIN = 10;

/** What a page may do: show its own pictures and styles. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/**
 * @typedef {{filename: string, subfolder: string, type: string}} SavedFile where the server keeps a result
 */

/**
 * Show one link for each file; those of an earlier run go.
 *
 * @param {object} node an OVSR_QualityReport
 * @param {{files?: SavedFile[]}} output
 */
export function showFiles(node, { files }) {
  if (!files?.length) return;
  const list = (widgetOf(node, WIDGET) ?? addList(node, files.length)).element;
  list.replaceChildren(...files.map(link));
}

function addList(node, lines) {
  const list = document.createElement("div");
  list.style.cssText = "display: flex; flex-direction: column; overflow: hidden; font-size: 12px;";
  const height = () => lines * LINE + 2 * MARGIN;
  const options = { margin: MARGIN, hideOnZoom: false, getMinHeight: height, getMaxHeight: height };
  return addPassing(node, node.addDOMWidget(WIDGET, "links", list, options));
}

/** @param {SavedFile} file */
function link(file) {
  const isPage = file.filename.endsWith(".html");
  const anchor = document.createElement("a");
  anchor.href = address(file);
  anchor.textContent = isPage
    ? say("Open {file}", { file: file.filename })
    : say("Download {file}", { file: file.filename });
  anchor.title = [file.type, file.subfolder, file.filename].filter(Boolean).join("/");
  anchor.style.cssText = `line-height: ${LINE}px; color: var(--fg-color); white-space: nowrap; overflow: hidden;
    text-overflow: ellipsis;`;
  if (isPage) anchor.addEventListener("click", openPage);
  else anchor.download = file.filename;
  return anchor;
}

/** @param {SavedFile} file */
function address({ filename, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

/**
 * Show a page in a tab of its own. The server hands pages out as downloads only, lest they run scripts in its name; so
 * the page is fetched, made harmless and shown from memory.
 *
 * @param {MouseEvent} event a click on the link
 */
async function openPage(event) {
  event.preventDefault();
  const anchor = event.currentTarget;
  const tab = window.open("", "_blank"); // before anything is awaited: later it would count as a pop-up
  try {
    const response = await fetch(anchor.href);
    if (!response.ok) throw new Error(`The server answered ${response.status} ${response.statusText}.`);
    tab.location.replace(URL.createObjectURL(harmless(await response.text())));
  } catch (error) {
    tab?.close();
    const detail = say("{file} cannot be opened. {why}", { file: anchor.title, why: error.message });
    app.extensionManager.toast.add({ severity: "error", summary: say("Quality Report"), detail, life: 8000 });
  }
}

/**
 * A page that can neither run scripts nor load anything, whatever it holds.
 *
 * @param {string} html
 * @returns {Blob}
 */
function harmless(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const policy = page.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = POLICY;
  page.head.prepend(policy);
  return new Blob(["<!doctype html>", page.documentElement.outerHTML], { type: "text/html;charset=utf-8" });
}
