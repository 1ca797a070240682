"""How good a video is, by itself or against the true one."""

from typing import Any

import torch
from comfy_api.latest import Input, io, ui
from torch import Tensor

from ..core.quality.clip_files import AUTOMATIC as ANY_CLIP
from ..core.quality.clip_files import find_clip
from ..core.quality.clip_iqa import PUBLISHED_PAIRS, ClipIqa
from ..core.quality.measures import DEEP, MEASURES
from ..core.quality.report import Compared, ReportConfig, make_report
from ..core.quality.report import QualityReport as Found
from ..core.quality.report_files import save_page
from ..core.quality.report_pictures import draw_profile, draw_timelines, read_thumbnails
from ..core.quality.report_text import write_report, write_worst
from .host.folders import clip_folders
from .host.models import compute_device, device_with_room, loaded_clip_iqa
from .host.outputs import output_path, prefix_fault
from .host.progress import frame_reporter, show_text
from .search_aliases import search_aliases
from .timeline_output import report_timeline
from .video_file import as_source

ALL = "all of our own"
SETS: dict[str, tuple[str, ...]] = {
    ALL: (),
    "quick": ("psnr_y", "ssim", "flicker", "sharpness", "blockiness"),
    "against the reference": tuple(measure.name for measure in MEASURES.values() if measure.reference),
    "without a reference": ("niqe", "brisque", "clip_iqa", "sharpness", "blockiness", "flicker"),
    "steadiness": ("warping", "warping_relative", "flicker"),
}
"""Names of measures by what a user chooses; one that cannot be taken is left out, and the report says so."""

AUTOMATIC = "automatic"

_DEEP_BYTES = 4_000_000_000
"""Room for the networks of pyiqa, which ComfyUI does not manage, and for their work."""


class QualityReport(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_QualityReport",
            display_name="Quality Report",
            category="TextOVSR/quality",
            description="Measures a video frame by frame, by itself or against the true one: numbers, plots, the worst "
            "moments, and a page to keep. Any length, in constant memory.",
            **search_aliases("OVSR_QualityReport"),
            inputs=[
                io.Video.Input("video", tooltip="The video to measure. It is read frame by frame."),
                io.Video.Input(
                    "reference",
                    optional=True,
                    tooltip="The true video, frame for frame the same. Without it, what needs no truth is measured.",
                ),
                *_measuring(),
                *_moments(),
                io.String.Input(
                    "filename_prefix",
                    default="quality/TextOVSR",
                    optional=True,
                    tooltip="Folder and beginning of the names of the page (.html) and the table of all frames (.csv) "
                    "inside the output folder.",
                ),
            ],
            outputs=_outputs(),
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None = None) -> bool | str:
        """Say before the run that the prefix leads out of the output folder."""
        return prefix_fault(filename_prefix)

    @classmethod
    def execute(
        cls,
        video: Input.Video,
        reference: Input.Video | None = None,
        filename_prefix: str = "quality/TextOVSR",
        **settings: Any,
    ) -> io.NodeOutput:
        """Read both videos once, then draw."""
        videos = Compared(as_source(video), None if reference is None else as_source(reference))
        page, subfolder = output_path(filename_prefix, video.get_dimensions(), ".html")
        rows = page.with_suffix(".csv")
        found = make_report(videos, _config(settings), rows, frame_reporter(cls), _clip)
        show_text(cls, f"{found.frames} frames")
        save_page(found, page)
        files = [ui.SavedResult(path.name, subfolder, io.FolderType.output) for path in (page, rows)]
        worst = found.summary.worst[0] if found.summary.worst else None
        return io.NodeOutput(
            write_report(found),
            _image(draw_timelines(found)),
            _image(draw_profile(found)),
            _thumbnails(found),
            worst.start if worst else 0.0,
            worst.duration if worst else 0.0,
            write_worst(found),
            ui={"text": [write_report(found)], "files": files, "timeline": report_timeline(found, rows)},
        )


def _config(settings: dict[str, Any]) -> ReportConfig:
    typed = tuple(name.strip() for name in settings.get("metrics", "").split(",") if name.strip())
    deep = any(name in DEEP for name in typed)
    by = settings.get("worst_by", AUTOMATIC)
    return ReportConfig(
        metrics=typed or SETS[settings.get("measures", ALL)],
        lenient=not typed,
        worst_by="" if by == AUTOMATIC else by,
        worst=settings.get("worst", ReportConfig.worst),
        device=str(device_with_room(_DEEP_BYTES) if deep else compute_device()),
        **{name: settings[name] for name in ("every", "window", "resize", "line") if name in settings},
    )


def _clip(size: tuple[int, int]) -> ClipIqa:
    return loaded_clip_iqa(find_clip(ANY_CLIP, clip_folders()), PUBLISHED_PAIRS, size)


def _image(pixels: Tensor) -> Tensor:
    """(H,W,3) uint8 -> (1,H,W,3) in [0,1]."""
    return pixels[None].float() / 255


def _thumbnails(found: Found) -> Tensor:
    """(N,h,w,3) in [0,1]; one black picture if there are none."""
    images = [_image(thumbnail.image) for thumbnail in read_thumbnails(found)]
    return torch.cat(images) if images else torch.zeros(1, 64, 64, 3)


def _measuring() -> list[io.Input]:
    return [
        io.Combo.Input(
            "measures",
            options=list(SETS),
            default=ALL,
            optional=True,
            tooltip="What is measured. Motion (warping error) and CLIP-IQA take longest; quick leaves them out. "
            "CLIP-IQA is taken if CLIP RN50 is among the CLIP files, see the node CLIP-IQA Score.",
        ),
        io.String.Input(
            "metrics",
            default="",
            optional=True,
            tooltip="Instead of a set: names with commas, such as vmaf_neg, niqe. Ours: " + ", ".join(MEASURES) + ". "
            "With the package pyiqa and its weights: " + ", ".join(DEEP) + ".",
        ),
        io.Int.Input(
            "every",
            default=1,
            min=1,
            max=10_000,
            optional=True,
            tooltip="Measure one frame in so many; all are read.",
        ),
        io.Boolean.Input(
            "resize",
            default=False,
            optional=True,
            tooltip="Bring the video to the reference's size where they differ, instead of refusing.",
        ),
    ]


def _moments() -> list[io.Input]:
    return [
        io.Int.Input("worst", default=6, min=1, max=100, optional=True, tooltip="How many worst moments are shown."),
        io.Combo.Input(
            "worst_by",
            options=[AUTOMATIC, *MEASURES, *DEEP],
            default=AUTOMATIC,
            optional=True,
            tooltip="The measure that decides which moments are the worst; it has to be among those measured.",
        ),
        io.Float.Input(
            "window",
            default=1.0,
            min=0.01,
            max=3600.0,
            step=0.1,
            optional=True,
            tooltip="Seconds of such a moment; none spans a cut.",
        ),
        io.Float.Input(
            "line",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.01,
            optional=True,
            tooltip="Height of the line that the temporal profile shows, from 0 (top) to 1 (bottom).",
        ),
    ]


def _outputs() -> list[io.Output]:
    return [
        io.String.Output(display_name="report", tooltip="All numbers as a Markdown table, and the worst moments."),
        io.Image.Output(display_name="timeline", tooltip="Every measure over time."),
        io.Image.Output(display_name="profile", tooltip="One line of every frame, time running down."),
        io.Image.Output(display_name="worst", tooltip="The worst frame of each worst moment; right the reference's."),
        io.Float.Output(display_name="start", tooltip="Where the worst moment begins: LoadVideo's start."),
        io.Float.Output(display_name="duration", tooltip="How long it is: LoadVideo's duration."),
        io.String.Output(display_name="worst_moments", tooltip="Start and duration of all of them, one a line."),
    ]
