"""Looking at videos side by side, frame by frame."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from comfy_api.latest import Input, io

from ..core.errors import EmptyVideoError
from ..core.job import Source
from ..core.transcode import save_video
from .host.frames_route import pictures, shown_file
from .host.passing import for_canvas, passing_path
from .host.progress import check_cancelled
from .search_aliases import search_aliases
from .video_file import as_source

NAMES = ("a", "b", "c", "d")


class CompareVideos(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_CompareVideos",
            display_name="Compare Videos",
            category="TextOVSR/video",
            description="Shows two to four videos in one picture, frame by frame the same moment: a divider to drag, "
            "zoom to the pixel, single steps, a loop, the amplified difference. Videos of any length; the smaller ones "
            "are scaled to the largest for display.",
            **search_aliases("OVSR_CompareVideos"),
            inputs=[
                io.Video.Input("a", tooltip="The first video, on the left; differences are taken from it."),
                io.Video.Input("b", tooltip="The second one. Frame 0 belongs to frame 0 of the first, and so on."),
                io.Video.Input("c", optional=True, tooltip="A third one, if you like."),
                io.Video.Input("d", optional=True, tooltip="A fourth one, if you like."),
            ],
            outputs=[],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, a: Input.Video, b: Input.Video, c: Input.Video | None = None, d: Input.Video | None = None
    ) -> io.NodeOutput:
        """Count the frames of each; the canvas asks for those that it shows."""
        given = [(name, video) for name, video in zip(NAMES, (a, b, c, d), strict=True) if video is not None]
        return io.NodeOutput(ui={"videos": [_shown(name, _reachable(as_source(video))) for name, video in given]})


def _shown(name: str, source: Source) -> dict[str, Any]:
    """What the canvas has to know of a video; ``first`` and ``start`` are the first frame's place in its file."""
    info, index = pictures.open(source.path, source.deinterlace).look(check_cancelled)
    part = index.span(source.start, source.duration)
    if not part:
        raise EmptyVideoError(
            f"Expected frames in the chosen part of {source.path.name}, got none; choose another part."
        )
    return {
        "name": name,
        **(shown_file(source.path) or {}),
        "deinterlace": source.deinterlace,
        "first": part.start,
        "start": index.seconds(part.start),
        "frames": len(part),
        "rate": float(info.frame_rate),
        "width": info.width,
        "height": info.height,
        "aspect": float(info.sample_aspect_ratio),
    }


def _reachable(source: Source) -> Source:
    """The same video in a folder whose files the canvas may see: as another name for the file, or as a copy."""
    if shown_file(for_canvas(source.path)) is not None:
        return source
    path = for_canvas(passing_path(source.path.suffix))
    with contextlib.suppress(OSError):
        os.link(source.path, path)
    if not path.exists():
        save_video(Source(Path(source.path), deinterlace="off"), path)
    return replace(source, path=path)
