"""Upscale a clip through a running ComfyUI and show what changed; dev.py calls this in the virtual environment."""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from textovsr.core.errors import TextOVSRError

from .before_after import before_after
from .comfy_client import ComfyClient, Event, PromptResult, node_progress
from .errors import DevError

LOADER = "OVSR_LoadVideo"


class ProgressLine:
    """One line on the terminal that follows a prompt: node, frames, frames a second, time left."""

    def __init__(self, prompt: dict[str, Any]) -> None:
        self.names = {number: node["class_type"].removeprefix("OVSR_") for number, node in prompt.items()}
        self.node = ""
        self.started = 0.0
        self.shown = -math.inf
        self.finished = False

    def __call__(self, event: Event) -> None:
        """Show one message of the websocket."""
        data = event["data"]
        if event["type"] == "executing" and data.get("node"):
            print(f"  {self.names.get(data['node'], data['node'])}")
        for node, value, maximum in node_progress(event):
            if maximum > 1:  # every node counts to one when it knows nothing better
                self.show(node, value, maximum)

    def show(self, node: str, value: float, maximum: float) -> None:
        """Print the state of one node: over the last line on a terminal, else a line every five seconds."""
        now = time.monotonic()
        if node != self.node:
            self.node, self.started, self.shown, self.finished = node, now, -math.inf, False
        last = value >= maximum
        if last and self.finished:
            return
        self.finished = last
        terminal = sys.stdout.isatty()
        if not last and now - self.shown < (0.2 if terminal else 5.0):
            return
        self.shown = now
        rate = value / (now - self.started) if now > self.started else 0.0
        left = f", {(maximum - value) / rate:.0f} s left" if rate and not last else ""
        text = f"    frame {value:.0f} of {maximum:.0f}" + (f", {rate:.2f} frames/s{left}" if rate else "")
        print(f"\r{text:<70}" if terminal else text, end="\n" if last or not terminal else "", flush=True)


def load_prompt(workflow: Path, clip: str) -> dict[str, Any]:
    """Read a workflow in API format and make its loader read ``clip``."""
    prompt: dict[str, Any] = json.loads(workflow.read_text("utf-8"))
    for node in prompt.values():
        if node["class_type"] == LOADER:
            node["inputs"]["file"] = clip
    return prompt


def check(result: PromptResult) -> PromptResult:
    """Return the result of a prompt that went well.

    Raises:
        DevError: it failed, was cancelled or wrote no file; the message is the node's own.
    """
    if result.error:
        error = result.error
        raise DevError(f"{error['node_type']} failed: {error['exception_message'].strip()}")
    if result.status != "success":
        raise DevError(f"Expected the workflow to succeed, got {result.status}.")
    if not result.files():
        raise DevError("Expected the workflow to write a video, got no file.")
    return result


def upscale(client: ComfyClient, workflow: Path, clip: Path, folder: Path) -> Path:
    """Run the workflow on a clip that lies in ComfyUI's input folder; return the result's copy in ``folder``."""
    prompt = load_prompt(workflow, clip.name)
    result = check(client.run(prompt, ProgressLine(prompt), timeout=7 * 24 * 3600.0))
    file = result.files()[-1]
    return client.download(file, folder / f"{clip.stem}_x4{Path(file['filename']).suffix}")


def main() -> int:
    """Read the command line, upscale, make the picture and say where things are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True, help="of the running ComfyUI")
    for name in ("clip", "workflow", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"Upscaling {options.clip.name} four times:", flush=True)
    started = time.monotonic()
    try:
        video = upscale(ComfyClient(options.address), options.workflow, options.clip, options.output)
    except (DevError, TextOVSRError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    picture = before_after(options.clip, video, options.output / f"{options.clip.stem}_before_after.png")
    print(f"Done in {time.monotonic() - started:.0f} s.\n  video:            {video}\n  before and after: {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
