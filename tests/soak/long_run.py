"""One long video through TextOVSR Upscale of a real ComfyUI with a tiny network, watched all the time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textovsr.core.submit.client import ComfyClient, Event, PromptResult, node_progress
from textovsr.tests.helpers.networks import save_tiny
from textovsr.tests.soak.watch import Sample, Watch
from textovsr.tools.comfy_server import ComfyServer

WEIGHTS = "soak-tiny.safetensors"


@dataclass(frozen=True)
class LongRun:
    """What became of a long run: how it ended, the samples, and the file it saved."""

    result: PromptResult
    samples: list[Sample]
    file: Path


def put_weights(base: Path) -> str:
    """Put a tiny network among a server's models; returns its name."""
    folder = base / "models" / "textovsr"
    folder.mkdir(parents=True, exist_ok=True)
    return save_tiny(folder / WEIGHTS).name


def watched_folders(base: Path) -> list[Path]:
    """Where a run may leave something besides its result."""
    return [base / "temp", base / "output" / ".textovsr"]


def journey(file: str, height: int, **settings: Any) -> dict[str, Any]:
    """Load, upscale, save; the result as high as the source, so that encoding is the smaller part."""
    upscale = {"video": ["1", 0], "weights": WEIGHTS, "target_height": height, "crf": 35, **settings}
    return {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": file}},
        "2": {"class_type": "OVSR_TextOVSRUpscale", "inputs": upscale},
        "3": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": "soak/long"}},
    }


def long_run(server: ComfyServer, file: str, height: int, every: float, timeout: float, **settings: Any) -> LongRun:
    """Run the journey over a video in the server's input folder, sampling every so many seconds.

    Args:
        server: with the tiny weights among its models.
        file: the video's name.
        height: of the result in pixels.
        every: seconds between samples.
        timeout: seconds until it is given up.
        settings: further inputs of the node.
    """
    done = [0]

    def follow(event: Event) -> None:
        for node, value, _ in node_progress(event):
            if node == "2":
                done[0] = int(value)

    watch = Watch(server.process.pid, watched_folders(server.base), lambda: done[0], every)
    with watch.watching():
        result = ComfyClient(server.address).run(journey(file, height, **settings), follow, timeout)
    assert result.status == "success", result.error
    (saved,) = (one for one in result.files() if one["type"] == "output")
    path = server.base / "output" / saved["subfolder"] / saved["filename"]
    return LongRun(result, watch.samples, path)
