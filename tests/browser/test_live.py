"""What a node shows while it restores: before and after, frames, speed, time left, memory; in both renderings."""

import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

WORDS = r"\d+/\d+ frames, [\d.]+ fps, [\d:]+ left, memory [\d.]+ [MG]B"
RUN = """async (duration) => {
    app.graph.clear();
    app.canvas.ds.reset();
    const add = (type, x, settings) => {
        const node = LiteGraph.createNode(type);
        node.pos = [x, 60];
        app.graph.add(node);
        for (const [name, value] of Object.entries(settings))
            node.widgets.find((widget) => widget.name === name).value = value;
        return node;
    };
    const loader = add("OVSR_LoadVideo", 40, { file: "phone.mp4", duration });
    window.tested = add("OVSR_TextOVSRUpscale", 440, { weights: "tiny.safetensors" });
    const saver = add("OVSR_SaveVideo", 900, {});
    loader.connect(0, tested, 0);
    tested.connect(0, saver, 0);
    window.pictures = [];
    window.texts = [];
    window.shown = [];
    app.api.addEventListener("b_preview_with_metadata", ({ detail }) => {
        if (String(detail.nodeId) === String(tested.id)) pictures.push(detail.blob);
    });
    app.api.addEventListener("progress_text", ({ detail }) => {
        texts.push(detail.text);
        if (detail.text.includes("memory")) window.newest = detail;
    });
    const look = () => {
        const { innerText } = document.querySelector(`[data-node-id="${tested.id}"]`) ?? document.body;
        if (innerText.includes("memory")) shown.push(innerText);
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    await app.queuePrompt(0);
}"""
PICTURES = """async () => Promise.all(
    pictures.map(async (blob) => [...new Uint8Array(await blob.arrayBuffer())])
)"""


def pictures(page: Page) -> list[Any]:
    """What the previews show, (H,W,3)."""
    return [np.asarray(Image.open(io.BytesIO(bytes(blob)))) for blob in page.evaluate(PICTURES)]


@pytest.mark.parametrize("html", [False, True], ids=["canvas", "html"])
def test_a_run_shows_before_and_after(html: bool, canvas: Page, complaints: list[str]) -> None:
    canvas.evaluate("async (html) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', html)", html)
    try:
        canvas.evaluate(RUN, 0.6 if html else 0.5)  # what has been done is not done again
        canvas.wait_for_selector("video[src*='output']", state="attached")
    finally:
        canvas.evaluate("async () => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")
    seen = pictures(canvas)
    assert seen
    for picture in seen:
        assert picture.shape == (287, 512, 3)
        assert (picture[:, 255:257] > 200).mean() > 0.9  # the line between
    assert any(re.search(WORDS, text) for text in canvas.evaluate("texts"))
    # The outcome follows so soon that a busy page may have had no time to draw what was said before it.
    canvas.evaluate("app.api.dispatchEvent(new CustomEvent('progress_text', { detail: newest }))")
    canvas.wait_for_function("shown.length > 0")
    assert any(re.search(WORDS, text) for text in canvas.evaluate("shown"))
    assert complaints == []
