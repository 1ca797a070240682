"""Making windows that overlap one again."""

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import Input, io

from ..core.config import SUFFIX, EncodeConfig
from ..core.errors import SettingError
from ..core.from_frames import FramesJob, video_from_frames
from ..core.job import Source
from ..core.overlaps import CURVES, Curve, check_overlap, place_windows
from ..core.split import count_frames, read_windows
from ..core.stitch import stitch
from ..core.video.probe import probe
from .host.passing import passing_path
from .host.progress import check_cancelled, progress_reporter
from .latent_windows import frames_of, join, join_latents, place_of
from .search_aliases import search_aliases
from .split_windows import Windows
from .video_file import VideoFile, as_source

KNOWN = -1
"""As an overlap: the windows know it."""

FINE = EncodeConfig(crf=10, preset="fast")
"""How stitched videos are stored: hardly anything is lost."""


class ILTStitch(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_ILTStitch",
            display_name="ILT Stitch",
            category="TextOVSR/diffusion",
            description="Makes windows that overlap one again: over the frames that two share, one fades into the "
            "other (interweaved latent transition), so that no jump is seen. As many frames come out as were split.",
            is_input_list=True,
            **search_aliases("OVSR_ILTStitch"),
            inputs=[
                io.MultiType.Input(
                    "windows",
                    [io.Latent, io.Image, io.Video],
                    tooltip="The list of windows, in order: all LATENT, all IMAGE or all VIDEO. LATENT that Split "
                    "Windows made knows where it belongs.",
                ),
                io.Combo.Input(
                    "curve",
                    options=list(CURVES),
                    default="code",
                    tooltip="How one window fades into the next. code: 0.8 to 0.2, as DiffVSR's program does; paper: 1 "
                    "to 0, as its paper says; cosine: smooth at both ends; cut: no fading, a cut in the middle.",
                ),
                *_places_given(),
            ],
            outputs=[
                Windows.Output(display_name="whole", tooltip="All frames, each once; the same kind as the windows.")
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, windows: list[Any], curve: list[Curve], overlap: Sequence[int] = (KNOWN,), **more: list[Any]
    ) -> io.NodeOutput:
        """Find where each belongs, then stitch.

        Memory: the result beside the windows, which the host holds; of VIDEO two windows, whatever the length.
        """
        kind = _kind(windows)
        lengths = [_length(window, kind) for window in windows]
        places = _places(windows, lengths, overlap[0], more.get("start"))
        if kind == "IMAGE":
            return io.NodeOutput(join(windows, places, curve[0]))
        if kind == "LATENT":
            return io.NodeOutput(join_latents(windows, places, curve[0]))
        source = as_source(more["source"][0]) if "source" in more else None
        return io.NodeOutput(_join_videos(cls, [as_source(window) for window in windows], places, (curve[0], source)))


def _places_given() -> list[io.Input]:
    return [
        io.Int.Input(
            "overlap",
            default=KNOWN,
            min=KNOWN,
            max=4095,
            optional=True,
            tooltip="Frames that neighbours share. -1: what the windows or start say. Needed only for windows "
            "that Split Windows did not make.",
        ),
        io.Int.Input(
            "start",
            optional=True,
            force_input=True,
            tooltip="Each window's first frame, from Split Windows. Needed for IMAGE and VIDEO, which do not remember.",
        ),
        io.Video.Input(
            "source",
            optional=True,
            tooltip="For VIDEO windows: the video that was split. Gives the result its exact times, sound and "
            "all else. Without it the frame rate is constant and there is no sound.",
        ),
    ]


def _kind(windows: list[Any]) -> str:
    """LATENT, IMAGE or VIDEO, which all windows must be."""
    kinds = {"VIDEO" if isinstance(w, Input.Video) else "LATENT" if isinstance(w, dict) else "IMAGE" for w in windows}
    if len(kinds) != 1:
        raise SettingError(
            f"Expected windows that are all LATENT, all IMAGE or all VIDEO, got {' and '.join(sorted(kinds))}; connect "
            "what was made of one Split Windows."
        )
    return kinds.pop()


def _length(window: Any, kind: str) -> int:
    check_cancelled()
    if kind == "VIDEO":
        return count_frames(as_source(window))
    return frames_of(window) if kind == "LATENT" else len(window)


def _join_videos(
    node: type[io.ComfyNode], windows: list[Source], places: tuple[range, ...], how: tuple[Curve, Source | None]
) -> VideoFile:
    """One video in the temporary folder: the curve, and the video that gives times and sound, are in ``how``."""
    curve, source = how
    pictures = read_windows(windows, [len(place) for place in places], check_cancelled)
    frames = places[-1].stop - places[0].start
    job = FramesJob(frames, encode=FINE, frame_rate=probe(windows[0].path).frame_rate)
    output = passing_path(SUFFIX[FINE.codec])
    video_from_frames(stitch(pictures, places, curve), output, job, source, progress_reporter(node))
    return VideoFile(Source(output), frames)


def _places(windows: list[Any], lengths: Sequence[int], overlap: int, start: list[int] | None) -> tuple[range, ...]:
    """Where the windows belong: what start says, else what they remember, else by the overlap."""
    known = [place_of(window) if isinstance(window, dict) else None for window in windows]
    if start is not None:
        if len(start) != len(windows):
            raise SettingError(
                f"Expected a start for each of the {len(windows)} windows, got {len(start)}; connect windows and start "
                "of the same Split Windows."
            )
        places = tuple(range(first, first + length) for first, length in zip(start, lengths, strict=True))
    elif all(known):
        places = tuple(place for place, _ in filter(None, known))
    elif overlap == KNOWN and len(windows) > 1:
        raise SettingError(
            "Expected to be told where the windows belong, got windows that do not remember it; connect start of Split "
            "Windows, or set the overlap."
        )
    else:
        return place_windows(lengths, max(overlap, 0))
    if overlap != KNOWN:
        check_overlap(places, overlap)
    return places
