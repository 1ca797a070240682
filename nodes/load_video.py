"""Choosing a video, or a part of one."""

from typing import Any, get_args

from comfy_api.latest import io

from ..core.config import Deinterlace
from ..core.errors import TextOVSRError
from ..core.job import Source
from .host.folders import fingerprint, input_videos, resolve_video
from .search_aliases import search_aliases
from .video_file import VideoFile

_LONGEST = 1e6


class LoadVideo(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_LoadVideo",
            display_name="Load Video (TextOVSR)",
            category="TextOVSR/video",
            description="Opens a video without decoding it: any length, no memory. Sound, subtitles and exact times "
            "are kept for the nodes that follow.",
            **search_aliases("OVSR_LoadVideo"),
            inputs=[
                io.Combo.Input(
                    "file",
                    options=input_videos(),
                    upload=io.UploadType.video,
                    tooltip="A video in ComfyUI's input folder. Use the button below to upload one.",
                ),
                io.String.Input(
                    "path",
                    default="",
                    optional=True,
                    tooltip="Instead of an upload: the path of a video in ComfyUI's input, output or temp folder, or "
                    "in a folder named in the server's environment variable TEXTOVSR_PATHS.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=_LONGEST,
                    step=0.1,
                    optional=True,
                    tooltip="Seconds to skip at the beginning.",
                ),
                io.Float.Input(
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=_LONGEST,
                    step=0.1,
                    optional=True,
                    tooltip="Seconds to take; 0 takes everything that follows.",
                ),
                io.Combo.Input(
                    "deinterlace",
                    options=list(get_args(Deinterlace)),
                    default="auto",
                    optional=True,
                    tooltip="Old television and tape show every picture as two fields; auto finds out and makes whole "
                    "pictures of them.",
                ),
                io.Boolean.Input(
                    "strict",
                    default=False,
                    optional=True,
                    tooltip="Stop at damage in the file, instead of keeping the good frames and saying what was lost.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="A file until frames are needed.")],
        )

    @classmethod
    def execute(
        cls,
        file: str,
        path: str = "",
        start: float = 0.0,
        duration: float = 0.0,
        deinterlace: Deinterlace = "auto",
        strict: bool = False,
    ) -> io.NodeOutput:
        """Open the file and look at it once, so that a bad one is named here."""
        video = VideoFile(Source(resolve_video(path or file), start, duration or None, deinterlace, strict))
        video.get_dimensions()
        return io.NodeOutput(video)

    @classmethod
    def validate_inputs(cls, file: str | None, path: str | None = "") -> bool | str:
        """Say before the run that a file is missing or out of bounds; a linked input is not known yet."""
        if file is None or path is None:
            return True
        try:
            chosen = resolve_video(path or file)
        except TextOVSRError as error:
            return str(error)
        return chosen.is_file() or f"Expected a video at {chosen}, found none; upload it again or correct the path."

    @classmethod
    def fingerprint_inputs(cls, file: str, path: str = "", **settings: Any) -> str:
        """Follow the file: a changed one is loaded again."""
        return fingerprint(resolve_video(path or file), *sorted(settings.items()))
