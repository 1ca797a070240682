/** How the comparer looks: the host's own colours, so that it follows the theme. */

const ID = "textovsr-compare-style";

const STYLE = `
.textovsr-compare { display: flex; flex-direction: column; gap: 4px; height: 100%; min-height: 400px; overflow: hidden;
  box-sizing: border-box; color: var(--input-text); font: 12px sans-serif; border-radius: 4px; outline-offset: -1px; }
.textovsr-compare:focus-visible, .textovsr-compare:focus { outline: 1px solid var(--p-primary-color); }
.textovsr-compare:fullscreen { background: var(--comfy-menu-bg); padding: 4px; }
.textovsr-compare canvas { flex: 1 1 0; width: 100%; min-height: 200px; background: var(--bg-color); touch-action: none;
  cursor: grab; display: block; }
.textovsr-compare-note { padding: 0 6px; color: var(--descrip-text); overflow-wrap: anywhere; }
.textovsr-compare-bar { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; padding: 0 4px 4px; }
.textovsr-compare-break { flex-basis: 100%; height: 0; }
.textovsr-compare-bar :is(button, select, input[type="number"]) { height: 24px; padding: 0 7px; font: inherit;
  color: var(--input-text); background: var(--comfy-input-bg); border: 1px solid var(--border-color);
  border-radius: 4px; cursor: pointer; }
.textovsr-compare-bar :is(button, select, input):focus-visible { outline: 2px solid var(--p-primary-color); }
.textovsr-compare-bar button:hover:enabled { border-color: var(--p-primary-color); }
.textovsr-compare-bar button:disabled { opacity: 0.4; cursor: default; }
.textovsr-compare-bar button[aria-pressed="true"] { background: var(--p-primary-color);
  color: var(--p-primary-contrast-color); }
.textovsr-compare-bar i { font-size: 11px; pointer-events: none; }
.textovsr-compare-track { flex: 1 1 80px; min-width: 60px; position: relative; display: flex; }
.textovsr-compare-bar input[type="range"] { width: 100%; margin: 0; accent-color: var(--p-primary-color); }
.textovsr-compare-loop { position: absolute; bottom: -5px; height: 3px; min-width: 3px; border-radius: 2px;
  background: var(--p-primary-color); pointer-events: none; }
.textovsr-compare-loop[hidden] { display: none; }
.textovsr-compare-bar input[type="number"] { width: 64px; cursor: text; }
.textovsr-compare-bar output { min-width: 96px; font-variant-numeric: tabular-nums; }
`;

/** Put the style into the page, once. */
export function addStyle() {
  if (document.getElementById(ID)) return;
  const style = document.createElement("style");
  style.id = ID;
  style.textContent = STYLE;
  document.head.append(style);
}
