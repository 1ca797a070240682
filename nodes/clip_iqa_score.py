"""How good a video looks to CLIP, frame by frame."""

from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import Input, io

from ..core.config import CLIP_FRAMES, CUT_THRESHOLD
from ..core.download import download
from ..core.errors import WeightsNotFoundError
from ..core.quality.clip_files import AUTOMATIC, PUBLISHED_CLIPS, find_clip, list_clips
from ..core.quality.clip_iqa import PUBLISHED_PAIRS, pair_name, parse_pairs
from ..core.quality.clip_scores import FrameScores, ScoreConfig, score_pictures, score_source
from ..core.quality.plot_ticks import clock
from ..core.quality.plots import draw_timeline
from .common_inputs import cut_threshold_input
from .host.folders import clip_folders
from .host.models import loaded_clip_iqa
from .host.progress import download_reporter, frame_reporter, show_text
from .search_aliases import search_aliases
from .timeline_output import scores_timeline
from .video_file import VideoFile, as_source


class CLIPIQAScore(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_CLIPIQAScore",
            display_name="CLIP-IQA Score",
            category="TextOVSR/quality",
            description="Scores how good frames look, without a reference: is a frame more like 'Good photo.' or like "
            "'Bad photo.' to CLIP? Or by any pair of words of your own. Any length, in constant memory.",
            **search_aliases("OVSR_CLIPIQAScore"),
            inputs=[
                io.MultiType.Input(
                    "video",
                    types=[io.Video, io.Image],
                    tooltip="The video to score, read frame by frame; or a batch of images. Sides of at least 32 "
                    "pixels; frames are never resized.",
                ),
                *_question(),
                *_frames(),
                *_rest(),
            ],
            outputs=[
                io.Float.Output(display_name="mean", tooltip="The mean over all scored frames, 0 (bad) to 1 (good)."),
                io.String.Output(display_name="scores", tooltip="The score of every frame, as CSV or JSON."),
                io.Image.Output(display_name="plot", tooltip="The scores over time; dashed lines are cuts."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, video: Input.Video | torch.Tensor, clip: str = AUTOMATIC, prompts: str = "", **settings: Any
    ) -> io.NodeOutput:
        """Find or get the weights, read the frames once, draw."""
        pairs = parse_pairs(prompts)
        config = ScoreConfig(
            every=settings.get("every", ScoreConfig.every),
            most=settings.get("max_frames", CLIP_FRAMES),
            cut_threshold=settings.get("cut_threshold", CUT_THRESHOLD),
        )
        weights = _weights(cls, clip, settings.get("download", False))
        source = None
        if isinstance(video, torch.Tensor):
            pictures = video[..., :3].movedim(-1, 1)  # (B,H,W,C) -> (B,C,H,W)
            network = loaded_clip_iqa(weights, pairs, (video.shape[2], video.shape[1]))
            found = score_pictures(pictures, network, config, frame_reporter(cls))
        else:
            source = as_source(video)
            network = loaded_clip_iqa(weights, pairs, VideoFile(source).get_dimensions())
            found = score_source(source, network, config, frame_reporter(cls))
        show_text(cls, _summary(found))
        text = found.json if settings.get("format") == "json" else found.csv
        shown = {"timeline": scores_timeline(found, source)}
        return io.NodeOutput(found.mean, text, draw_timeline(found.timeline()), ui=shown)


def _weights(node: type[io.ComfyNode], name: str, agreed: bool) -> Path:
    """The CLIP file, downloaded if there is none and the user agreed to that."""
    try:
        return find_clip(name, clip_folders())
    except WeightsNotFoundError:
        if not agreed:
            raise
    published = PUBLISHED_CLIPS[0]
    return download(published, clip_folders()[0] / published.file, download_reporter(node, published.file))


def _summary(found: FrameScores) -> str:
    """What is written on the node: the mean, and where it is worst."""
    scores = found.scores
    worst = min(range(len(scores)), key=scores.__getitem__)
    when = f" at {clock(found.seconds[worst], 1)}" if found.seconds else ""
    return (
        f"mean {found.mean:.3f} over {len(scores)} frames\n"
        f"lowest {scores[worst]:.3f}, frame {found.frames[worst]}{when}"
    )


def _question() -> list[io.Input]:
    first = PUBLISHED_CLIPS[0]
    return [
        io.Combo.Input(
            "clip",
            options=[AUTOMATIC, *list_clips(clip_folders())],
            default=AUTOMATIC,
            optional=True,
            tooltip="CLIP RN50: files in models/clip_iqa, clip_vision, text_encoders, clip and textovsr, also those of "
            "extra_model_paths.yaml. automatic takes the first one, or one that open_clip, pyiqa or the Hugging Face "
            "hub keep on this machine.",
        ),
        io.String.Input(
            "prompts",
            multiline=True,
            default="\n".join(pair_name(pair) for pair in PUBLISHED_PAIRS),
            optional=True,
            tooltip="What is good / what is bad, one pair a line, for example: sharp / blurry. The score is the mean "
            "over all pairs; each has its own column and its own line in the plot.",
        ),
        io.Boolean.Input(
            "download",
            default=False,
            optional=True,
            tooltip=f"You agree that CLIP RN50 is downloaded if there is none: {first.size / 1e6:.0f} MB, licence "
            f"{first.licence}, from {first.url.split('/')[2]}. It is checked, and resumed if it stops.",
        ),
    ]


def _frames() -> list[io.Input]:
    return [
        io.Int.Input(
            "every",
            default=ScoreConfig.every,
            min=1,
            max=100_000,
            optional=True,
            tooltip="Score only every so many-th frame; 1 is every frame.",
        ),
        io.Int.Input(
            "max_frames",
            default=CLIP_FRAMES,
            min=0,
            max=1_000_000,
            optional=True,
            tooltip="Score at most this many frames, spread evenly over the video; 0 is no limit.",
        ),
    ]


def _rest() -> list[io.Input]:
    return [
        cut_threshold_input("the plot marks it."),
        io.Combo.Input(
            "format",
            options=["csv", "json"],
            default="csv",
            optional=True,
            tooltip="How the scores are written.",
        ),
    ]
