"""Cutting something long into windows that overlap."""

import time
from collections.abc import Callable
from typing import Any

from comfy_api.latest import Input, io

from ..core.overlaps import overlapping_windows
from ..core.split import split_video
from .host.progress import check_cancelled, show_text
from .latent_windows import cut_latent, frames_of
from .search_aliases import search_aliases
from .video_file import VideoFile, as_source

Windows = io.Custom("LATENT,IMAGE,VIDEO")
"""Any of the three; the host lets it be connected to each of them."""

_SHOW_SECONDS = 1.0


class SplitWindows(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_SplitWindows",
            display_name="Split Windows",
            category="TextOVSR/diffusion",
            description="Cuts a LATENT, an IMAGE batch or a VIDEO into windows that overlap. Nodes that follow run "
            "once for each window; ILT Stitch makes one of them again.",
            **search_aliases("OVSR_SplitWindows"),
            inputs=[
                io.MultiType.Input(
                    "whole",
                    [io.Latent, io.Image, io.Video],
                    tooltip="What is cut. The windows of a VIDEO are parts of its file; no frames are loaded.",
                ),
                io.Int.Input(
                    "length", default=8, min=1, max=4096, tooltip="Frames (of a LATENT: of latents) a window."
                ),
                io.Int.Input(
                    "overlap",
                    default=4,
                    min=0,
                    max=4095,
                    tooltip="Frames that neighbouring windows share, fewer than the length. The last window is moved "
                    "back to be as long as the others, and shares more.",
                ),
            ],
            outputs=_outputs(),
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, whole: Any, length: int, overlap: int) -> io.NodeOutput:
        """Cut by what it is."""
        if isinstance(whole, Input.Video):
            parts = split_video(as_source(whole), length, overlap, _counter(cls))
            windows: list[Any] = [VideoFile(part.source, len(part.place)) for part in parts]
            places = tuple(part.place for part in parts)
        elif isinstance(whole, dict):
            places = overlapping_windows(frames_of(whole), length, overlap)
            windows = [cut_latent(whole, place) for place in places]
        else:
            places = overlapping_windows(len(whole), length, overlap)
            windows = [whole[place.start : place.stop] for place in places]
        return io.NodeOutput(windows, [place.start for place in places], len(places))


def _outputs() -> list[io.Output]:
    return [
        Windows.Output(
            display_name="windows",
            tooltip="A list of what was given. Each LATENT also remembers its place, for ILT Stitch and "
            "Rescheduled Noise.",
            is_output_list=True,
        ),
        io.Int.Output(
            display_name="start",
            tooltip="The number of each window's first frame, from 0: a list. Connect it to ILT Stitch when "
            "the windows are or become IMAGE or VIDEO.",
            is_output_list=True,
        ),
        io.Int.Output(display_name="count", tooltip="How many windows there are."),
    ]


def _counter(node: type[io.ComfyNode]) -> Callable[[int], None]:
    """A function that shows how many frames were found, and stops when the user cancels."""
    shown = time.monotonic()

    def report(found: int) -> None:
        nonlocal shown
        check_cancelled()
        if time.monotonic() - shown >= _SHOW_SECONDS:
            shown = time.monotonic()
            show_text(node, f"{found} frames found")

    return report
