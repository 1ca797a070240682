"""Everything that must come out the same every time, as functions from a folder to a hash.

``python determinism.py FOLDER`` computes all of them in a process of its own and prints them as JSON.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textovsr.core.config import EncodeConfig, RecurrentConfig
from textovsr.core.degrade.config import DegradeConfig
from textovsr.core.degrade.video import FINE, DegradeJob, degrade_video
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import restore_video
from textovsr.core.restorer import Restorer
from textovsr.core.restorers.dcm import DcmRestorer
from textovsr.core.restorers.loading import load_restorer
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.settings import DiffusionSettings
from textovsr.core.restorers.systems import compute_dtype, exact_parts, load_parts, make_diffusion_restorer
from textovsr.core.text.caption import caption_source
from textovsr.core.text.frames import SceneConfig
from textovsr.core.text.vlm import AskConfig
from textovsr.core.text.vlm_folders import load_vlm
from textovsr.core.text.vtt import write_text
from textovsr.core.weights import find_system, require_files
from textovsr.models.catalog import find_weights
from textovsr.tests.helpers import sdatc
from textovsr.tests.helpers.clips import Clip, write_clip
from textovsr.tests.helpers.diffusion_files import SAVE
from textovsr.tests.helpers.frames import decoded, packets
from textovsr.tests.helpers.vlms import save_vlm

CPU, ROOM = torch.device("cpu"), 1 << 30
TIMES = (0, 40, 85, 120, 160, 199, 240, 280, 333)
"""Milliseconds of the film's frames; its pictures change altogether in the middle."""

CUT = 5
SEGMENT = 3
CAPTIONS = "WEBVTT\n\n00:00.000 --> 00:00.100\na dog\n\n00:00.100 --> 00:09.000\na house\n"


def make_film(folder: Path, size: tuple[int, int] = (32, 24)) -> Path:
    """Nine frames of blocks that move, with irregular times, sound and a cut."""
    path = folder / f"film-{size[0]}x{size[1]}.mkv"
    scenes = [
        np.kron(np.random.default_rng(seed).integers(0, 255, (12, 24, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        for seed in (1, 2)
    ]

    def draw(number: int, clip: Clip) -> Any:
        import av

        picture = scenes[number >= CUT][number : number + clip.height, 2 * number : 2 * number + clip.width]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        return frame.reformat(format=clip.pix_fmt)

    clip = Clip(width=size[0], height=size[1], pts=TIMES, time_base=Fraction(1, 1000), draw=draw, audio="aac")
    return path if path.exists() else write_clip(path, clip)


def digest_of(video: Path) -> str:
    """A hash of a video's frames, of their times, and of its encoded picture and sound."""
    digest = hashlib.sha256()
    for time, picture in decoded(video):
        digest.update(str(time).encode() + picture)
    for kind in ("video", "audio"):
        for packet in packets(video, kind):
            digest.update(packet)
    return digest.hexdigest()


# ---- what restores


@dataclass(frozen=True)
class System:
    """A restoration system.

    Attributes:
        make: its restorer, from a folder for files.
        codec: what its result is encoded with.
    """

    make: Callable[[Path], Restorer]
    codec: str = "h264"

    def run(self, folder: Path, name: str = "whole", report: Callable[[Any], None] = lambda _: None) -> Path:
        """Restore the film, or go on with that; returns the result."""
        output = folder / f"{name}{'.mkv' if self.codec == 'ffv1' else '.mp4'}"
        encode = EncodeConfig(codec=self.codec)  # type: ignore[arg-type]
        job = Job(CAPTIONS, "heavy blur", encode=encode, segment=SEGMENT)
        restore_video(Source(make_film(folder)), self.make(folder), output, job, report)
        return output


def _recurrent(weights: str, folder: Path, **config: Any) -> Restorer:
    return load_restorer(find_weights(weights, []), RecurrentConfig(**config), CPU, ROOM)


def _dcm(folder: Path) -> Restorer:
    return DcmRestorer(sdatc.tiny_networks()["dcm"], RecurrentConfig(window=2), CPU, ROOM)  # type: ignore[arg-type]


_SETTINGS: dict[str, dict[str, Any]] = {
    "MGLD-VSR": {"steps": 2, "least_side": 64},
    "DiffVSR": {"steps": 2},
    "STAR (heavy)": {"steps": 2, "options": "window=9, span=9"},
    "STAR-CogVideoX": {"steps": 2, "options": "window=9, overlap=4"},
    "SDATC": {"steps": 2},
}


def diffusion(title: str, folder: Path, seed: int = 3) -> Restorer:
    """A diffusion system of small networks."""
    files = folder / title
    if not files.exists():
        SAVE[title](files)
    system = find_system(title)
    networks = load_parts(title, require_files(system, [files]))
    parts = HeldParts(networks, CPU, compute_dtype(title, CPU), exact_parts(title))
    return make_diffusion_restorer(title, parts, DiffusionSettings(seed=seed, **_SETTINGS[title]), ROOM)


SYSTEMS: dict[str, System] = {
    "TextOVSR lite": System(partial(_recurrent, "textovsr-lite", window=2, look_ahead=1)),
    "TextOVSR lite, tiles": System(partial(_recurrent, "textovsr-lite", window=3, look_ahead=2, tile=24), "ffv1"),
    "DCM": System(_dcm, "hevc"),
    **{title: System(partial(diffusion, title), "ffv1") for title in _SETTINGS},
}
"""What restores videos, by name."""


# ---- what else there is


def degrade(preset: str, folder: Path) -> Path:
    """The film made worse."""
    output = folder / "degraded.mp4"
    job = DegradeJob(DegradeConfig(preset, seed=7, drift=0.5), FINE)
    degrade_video(Source(make_film(folder, (96, 64))), output, job, lambda _: None)
    return output


def caption(folder: Path) -> str:
    """What a vision-language model says of the film."""
    model = folder / "llava"
    if not model.exists():
        save_vlm(model)
    ask = AskConfig(max_tokens=12, temperature=0.8, seed=5)
    captioner = partial(load_vlm(model, CPU, "float32").caption, ask=ask)
    return write_text(caption_source(Source(make_film(folder, (64, 48))), captioner, SceneConfig(frames=2)))


CASES: dict[str, Callable[[Path], str]] = {
    **{name: lambda folder, system=system: digest_of(system.run(folder)) for name, system in SYSTEMS.items()},
    **{
        f"degrade: {preset}": lambda folder, preset=preset: digest_of(degrade(preset, folder))
        for preset in ("random", "VHS", "low-bitrate stream", "old film")
    },
    "captions": caption,
}
"""All of them; each gives a text that must not change."""

if __name__ == "__main__":
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    found = {}
    for case, compute in CASES.items():
        (place / case).mkdir(parents=True)
        found[case] = compute(place / case)
    print(json.dumps(found))
