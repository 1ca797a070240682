"""What a node shows while it works, and how a user stops it."""

import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import comfy.model_management
from comfy_api.latest import ComfyAPISync, io
from torch import Tensor

from ...core.device import memory_in_use
from ...core.job import Progress, Restored
from ...core.preview import preview
from ...core.space import readable

_PREVIEW_SECONDS = 0.5
_PREVIEW_SHARE = 0.01
"""Of the run's time, about, that is spent on showing it."""

_LABELS = ("Before", "After")
_LABEL_SIZE = 16
_LABEL_MARGIN = 6

check_cancelled = comfy.model_management.throw_exception_if_processing_interrupted
"""Raise the host's exception if the user pressed cancel."""


def progress_reporter(node: type[io.ComfyNode]) -> Callable[[Progress], None]:
    """A function that shows a job's progress on its node: bar, frames, fps, time left, memory, the newest frame.

    Where a frame can be compared with the one it was made of, both are shown. The more showing takes, the less often it
    is done; but the quickest showing counts: the first one also loads what it needs, and one on a busy machine waits.
    """
    execution = ComfyAPISync().execution
    ended, wait, least = 0.0, 0.0, math.inf

    def report(progress: Progress) -> None:
        nonlocal ended, wait, least
        began = time.monotonic()
        if 0 <= began - ended < wait and progress.done != progress.total:  # below 0 the clock was set back
            return
        count = max(progress.total or 0, progress.done)
        execution.set_progress(progress.done, count, preview_image=_preview(progress.newest, progress.original))
        show_text(node, f"{progress}, {memory_in_use()}")
        ended = time.monotonic()
        if wait:
            least = min(least, ended - began)
        wait = max(_PREVIEW_SECONDS, least / _PREVIEW_SHARE) if least < math.inf else _PREVIEW_SECONDS

    return report


def step_reporter(node: type[io.ComfyNode]) -> Callable[[int, int], None]:
    """A function that says on a node which step of a window's sampling is done, and of how many."""

    def report(done: int, total: int) -> None:
        check_cancelled()
        show_text(node, f"sampling a window: step {done} of {total}")

    return report


def frame_reporter(node: type[io.ComfyNode]) -> Callable[[int, int | None, Tensor], None]:
    """A function that takes the number of frames done, of how many, and the newest; and stops when the user cancels."""
    show, began = progress_reporter(node), time.monotonic()

    def report(done: int, total: int | None, newest: Tensor) -> None:
        check_cancelled()
        show(Progress(done, total, time.monotonic() - began, newest))

    return report


def download_reporter(node: type[io.ComfyNode], name: str) -> Callable[[int, int | None], None]:
    """A function that shows a download's bytes on its node, and stops it when the user cancels."""
    execution, shown = ComfyAPISync().execution, -math.inf

    def report(done: int, total: int | None) -> None:
        nonlocal shown
        check_cancelled()
        if time.monotonic() - shown < _PREVIEW_SECONDS and done != total:
            return
        shown = time.monotonic()
        execution.set_progress(done, max(total or 0, done))
        of = "" if total is None else f" of {readable(total)}"
        show_text(node, f"downloading {name}: {readable(done)}{of}")

    return report


def show_outcome(node: type[io.ComfyNode], restored: Restored) -> None:
    """Write on a node what became of its job, and what was lost; its bar is full, whatever the file said of itself."""
    ComfyAPISync().execution.set_progress(restored.frames, restored.frames)
    shots = "1 shot" if restored.shots == 1 else f"{restored.shots} shots"
    lines = [f"{restored.frames} frames, {shots}, in {restored.seconds:.0f} s"]
    lines += [f"lost: {line}" for line in restored.lost] + list(restored.notes)
    show_text(node, "\n".join(lines))


def show_text(node: type[io.ComfyNode], text: str) -> None:
    """Write something on a node, if a server shows it."""
    node_id = getattr(node.hidden, "unique_id", None)
    if node_id is None:
        return
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.send_progress_text(text, node_id)


def _preview(newest: Tensor, original: Tensor | None = None) -> Any:
    from PIL import Image, ImageDraw

    picture = Image.fromarray(preview(newest, original).numpy())
    if original is not None:
        draw = ImageDraw.Draw(picture)
        for number, label in enumerate(_LABELS):
            at = (number * picture.width // 2 + _LABEL_MARGIN, picture.height - _LABEL_MARGIN)
            draw.text(at, label, "white", _font(), "ls", stroke_width=2, stroke_fill="black")
    return picture


@lru_cache
def _font() -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(_LABEL_SIZE)
