"""Every video of a folder, for the nodes that follow to do one after the other."""

import re
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..core.errors import SettingError, TextOVSRError
from ..core.job import Source
from .host.folders import fingerprint, resolve_folder, videos_in
from .host.progress import check_cancelled, show_text
from .search_aliases import search_aliases
from .video_file import VideoFile

_MANY = 100_000


class ListVideos(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_ListVideos",
            display_name="List Videos",
            category="TextOVSR/video",
            description="Gives every video of a folder, in the order of their names: the nodes that follow run once "
            "for each. Nothing is decoded before it is needed.",
            **search_aliases("OVSR_ListVideos"),
            inputs=[*_folder(), *_part()],
            outputs=[
                io.Video.Output(display_name="video", tooltip="A list, one for each file.", is_output_list=True),
                io.String.Output(
                    display_name="name",
                    tooltip="A list: the prefix and each file's name without its ending. Connect it to Save Video's "
                    "filename_prefix.",
                    is_output_list=True,
                ),
                io.Int.Output(display_name="count", tooltip="How many they are."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, folder: str = "", prefix: str = "batch/", subfolders: bool = False, first: int = 0, limit: int = 0
    ) -> io.NodeOutput:
        """Look at every file once; those that cannot be read are left out, and named."""
        root, files = _find(folder, subfolders)
        chosen = files[first : first + limit if limit else None]
        if not chosen:
            raise SettingError(
                f"Expected videos from number {first} on in the folder {folder or 'input'}, found {len(files)} in all; "
                "put some there, or correct folder or first."
            )
        videos, bad = [], []
        for file in chosen:
            check_cancelled()
            try:
                videos.append((_opened(file), prefix + file.relative_to(root).with_suffix("").as_posix()))
            except TextOVSRError as error:
                bad.append(f"left out: {error}")
        if not videos:
            raise SettingError("Expected a video that can be read, found none.\n" + "\n".join(bad))
        show_text(cls, "\n".join([f"{len(videos)} videos", *bad]))
        return io.NodeOutput([video for video, _ in videos], [name for _, name in videos], len(videos))

    @classmethod
    def validate_inputs(cls, folder: str | None = "") -> bool | str:
        """Say before the run that a folder is missing or out of bounds; a linked input is not known yet."""
        if folder is None:
            return True
        try:
            resolve_folder(folder)
        except TextOVSRError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, folder: str = "", subfolders: bool = False, **settings: Any) -> str:
        """Follow the folder: new and changed files are found."""
        files = _find(folder, subfolders)[1]
        return "".join(fingerprint(file, *sorted(settings.items())) for file in files)


def _find(folder: str, subfolders: bool) -> tuple[Path, list[Path]]:
    root = resolve_folder(folder)
    return root, sorted(videos_in(root, subfolders), key=lambda file: _natural(file.relative_to(root).as_posix()))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """What sorts ``reel 2`` before ``reel 10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _opened(file: Path) -> VideoFile:
    video = VideoFile(Source(file))
    video.get_dimensions()
    return video


def _folder() -> list[io.Input]:
    return [
        io.String.Input(
            "folder",
            default="",
            optional=True,
            tooltip="A folder inside ComfyUI's input folder; empty is the input folder itself. Or the path of one "
            "inside ComfyUI's output or temp folder, or a folder named in the server's environment variable "
            "TEXTOVSR_PATHS.",
        ),
        io.String.Input(
            "prefix",
            default="batch/",
            optional=True,
            tooltip="What the names begin with: a folder for the results, inside the output folder.",
        ),
        io.Boolean.Input(
            "subfolders", default=False, optional=True, tooltip="Take the videos of the folders inside it too."
        ),
    ]


def _part() -> list[io.Input]:
    return [
        io.Int.Input(
            "first",
            default=0,
            min=0,
            max=_MANY,
            optional=True,
            control_after_generate=True,
            tooltip="How many to pass over. With a limit of 1 and increment, each run does the next one.",
        ),
        io.Int.Input(
            "limit", default=0, min=0, max=_MANY, optional=True, tooltip="How many to take at most; 0 takes all."
        ),
    ]
