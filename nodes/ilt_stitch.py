"""Making windows that overlap one again."""

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import Input, io

from ..core.errors import SettingError
from ..core.overlaps import CURVES, check_overlap, place_windows
from .latent_windows import frames_of, join, join_latents, place_of

KNOWN = -1
"""As an overlap: the windows know it."""


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
            inputs=[
                io.MultiType.Input(
                    "windows",
                    [io.Latent, io.Image],
                    tooltip="The list of windows, in order: LATENT or IMAGE. LATENT that Split Windows made knows "
                    "where it belongs.",
                ),
                io.Combo.Input(
                    "curve",
                    options=list(CURVES),
                    default="code",
                    tooltip="How one window fades into the next. code: 0.8 to 0.2, as DiffVSR's program does; paper: 1 "
                    "to 0, as its paper says; cosine: smooth at both ends; cut: no fading, a cut in the middle.",
                ),
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
                    tooltip="Each window's first frame, from Split Windows. Needed for IMAGE, which does not remember.",
                ),
            ],
            outputs=[
                io.Custom("LATENT,IMAGE").Output(
                    display_name="whole", tooltip="All frames, each once; the same kind as the windows."
                )
            ],
        )

    @classmethod
    def execute(
        cls, windows: list[Any], curve: list[str], overlap: list[int] | None = None, start: list[int] | None = None
    ) -> io.NodeOutput:
        """Find where each belongs, then stitch. Memory: the windows, which the host holds, and the result."""
        kind = _kind(windows)
        lengths = [len(w) if kind == "IMAGE" else frames_of(w) for w in windows]
        places = _places(windows, lengths, (overlap or [KNOWN])[0], start)
        if kind == "IMAGE":
            return io.NodeOutput(join(windows, places, curve[0]))
        return io.NodeOutput(join_latents(windows, places, curve[0]))


def _kind(windows: list[Any]) -> str:
    """LATENT or IMAGE, which all windows must be."""
    kinds = {"VIDEO" if isinstance(w, Input.Video) else "LATENT" if isinstance(w, dict) else "IMAGE" for w in windows}
    if len(kinds) != 1 or kinds == {"VIDEO"}:
        raise SettingError(
            f"Expected windows that are all LATENT or all IMAGE, got {' and '.join(sorted(kinds))}; take the frames of "
            "a VIDEO with Get Video Components."
        )
    return kinds.pop()


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
