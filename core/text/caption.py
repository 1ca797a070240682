"""What is to be seen in a video, scene by scene."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from torch import Tensor

from ..errors import SettingError
from ..job import Source
from ..video.probe import probe
from .frames import Report, Scene, SceneConfig, pick_scenes
from .vtt import Cue, is_webvtt, parse_text, write_text

BATCH = 4
"""Scenes that are captioned at once."""


class Captioner(Protocol):
    """What ``vlm.VisionLanguageModel`` does, asked with a prompt."""

    def __call__(self, scenes: Sequence[Sequence[Tensor]]) -> list[str]:
        """A text for the pictures, (3,h,w) uint8 RGB, of each scene; may raise to cancel."""


def caption_source(
    source: Source,
    captioner: Captioner,
    config: SceneConfig | None = None,
    report: Report | None = None,
    batch: int = BATCH,
) -> Iterator[Cue]:
    """Read a video, or a part of it, once and yield a caption for every scene.

    Peak memory: that of ``pick_scenes``, and the pictures of a batch of scenes, whatever the length.

    Args:
        source: the video, or a part of it.
        captioner: what looks at pictures.
        config: what a scene is.
        report: called after every frame; may raise to cancel.
        batch: scenes that are captioned at once.

    Raises:
        SettingError: ``batch`` is less than 1.
        VideoError: from ``VideoReader``.
    """
    if batch < 1:
        raise SettingError(f"Expected at least 1 scene at once, got {batch}; choose 1 or more.")
    waiting: list[Scene] = []
    for scene in pick_scenes(source, config, report):
        waiting.append(scene)
        if len(waiting) == batch:
            yield from _captioned(waiting, captioner)
            waiting = []
    if waiting:
        yield from _captioned(waiting, captioner)


def settle_captions(text: str, source: Source) -> str:
    """A user's own captions as WebVTT: as they are, or plain text for the whole video.

    Raises:
        SettingError: from ``parse_text``.
        VideoError: from ``probe``.
    """
    cues = parse_text(text).cues
    if is_webvtt(text):
        return text.strip("\ufeff \n\t") + "\n"
    length = probe(source.path).duration
    return write_text(Cue(cue.start, float(length or cue.end), cue.text) for cue in cues)


def _captioned(scenes: list[Scene], captioner: Captioner) -> Iterator[Cue]:
    texts = captioner([scene.images for scene in scenes])
    for scene, text in zip(scenes, texts, strict=True):
        yield Cue(scene.start, scene.end, text)
