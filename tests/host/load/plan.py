"""Which client asks for what, and how each job is to end: fifty jobs and a few, the same for the same seed."""

import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ..holding import held
from .films import FILMS

WEIGHTS = "load-tiny.safetensors"
CLIENTS = 4
SWEEPER = CLIENTS
"""The number of the client that clears the queue of its own jobs."""

Fate = Literal["success", "refused", "failed", "denied", "withdrawn", "stopped"]
Kind = Literal["upscale", "degrade", "copy", "trim", "images", "nonsense"]
Prompt = dict[str, Any]

WINDOWS = {"window": 8, "look_ahead": 4, "tile": 64}
"""Said, so that the memory of the machine decides nothing."""


@dataclass(frozen=True)
class Wish:
    """One job.

    Attributes:
        name: tells it from all others, and names its result.
        film: what it works on.
        kind: the workflow.
        fate: how it must end; denied is refused by newer hosts, which look at menus, and fails at older ones.
        settings: of the node that works, beside the usual ones.
        words: that the message of a refusal or failure holds.
        stop_at: frames after which a job is held, and stopped at work.
        client: who asks.
        prefix: of the result's name; nothing is ``name``.
    """

    name: str
    film: str
    kind: Kind = "upscale"
    fate: Fate = "success"
    settings: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    stop_at: int = 0
    client: int = 0
    prefix: str = ""

    def prompt(self, file: str) -> Prompt:
        """The workflow, for a film that the server knows as ``file``; node 2 works."""
        prompt: Prompt = {"1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": file}}}
        if self.kind == "trim":
            prompt["1"]["inputs"] |= self.settings
        maker = {"upscale": _upscale, "degrade": _degrade, "images": _images, "nonsense": _nonsense}.get(self.kind)
        if maker:
            prompt |= maker(self.settings)
        last = {"images": ["5", 0], "copy": ["1", 0], "trim": ["1", 0]}.get(self.kind, ["2", 0])
        inputs = {"video": last, "filename_prefix": f"load/{self.prefix or self.name}", "container": "auto"}
        prompt["3"] = {"class_type": "OVSR_SaveVideo", "inputs": inputs}
        return held(prompt, "2", self.stop_at, Path("never")) if self.stop_at else prompt


def _upscale(settings: dict[str, Any]) -> Prompt:
    inputs = {"video": ["1", 0], "weights": WEIGHTS, **WINDOWS, **settings}
    return {"2": {"class_type": "OVSR_TextOVSRUpscale", "inputs": inputs}}


def _degrade(settings: dict[str, Any]) -> Prompt:
    inputs = {"video": ["1", 0], "preset": "VHS", "seed": 1, **settings}
    return {"2": {"class_type": "OVSR_DegradeVideo", "inputs": inputs}}


def _images(settings: dict[str, Any]) -> Prompt:
    inputs = {"video": ["4", 0], "weights": WEIGHTS, **WINDOWS, **settings}
    return {
        "4": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
        "2": {"class_type": "OVSR_TextOVSRUpscale", "inputs": inputs},
        "5": {"class_type": "CreateVideo", "inputs": {"images": ["2", 0], "fps": ["4", 2]}},
    }


def _nonsense(settings: dict[str, Any]) -> Prompt:
    return {"2": {"class_type": "OVSR_NoSuchNode", "inputs": {"video": ["1", 0]}}}


def _succeeding() -> list[Wish]:
    twin: dict[str, Any] = {"film": "twin.mp4", "settings": {"caption": "a twin"}}
    return [
        Wish("least", "least.mp4"),
        Wish("odd", "odd.mkv", settings={"codec": "ffv1"}),
        Wish("sound", "sound.mp4", settings={"caption": "a dog", "scale": "2"}),
        Wish("jumps", "jumps.mkv", settings={"codec": "ffv1"}),
        Wish("one", "one.mkv", settings={"color_fix": "wavelet"}),
        Wish("large", "large.mp4", settings={"target_height": 200}),
        Wish("forty", "forty.mp4"),
        Wish("forty-ten", "forty.mp4", settings={"codec": "hevc", "bit_depth": "10"}),
        Wish("vp9", "vp9.webm", settings={"degradation_text": "heavy blur"}),
        Wish("cat", "sound.mp4", settings={"caption": "a cat", "scale": "2"}),
        Wish("vhs", "sound.mp4", "degrade"),
        Wish("vhs-other", "sound.mp4", "degrade", settings={"seed": 2}),
        Wish("random", "jumps.mkv", "degrade", settings={"preset": "random", "seed": 5}),
        Wish("copy", "jumps.mkv", "copy"),
        Wish("copy-sound", "forty.mp4", "copy"),
        Wish("trim", "forty.mp4", "trim", settings={"start": 0.4, "duration": 0.4}),
        Wish("images", "odd.mkv", "images"),
        Wish("images-vp9", "large.mp4", "images"),
        *(Wish(f"twin-{number}", **twin) for number in range(2)),
        *(Wish(f"same-{number}", "twin.mp4", prefix="same") for number in range(4)),
    ]


def _failing() -> list[Wish]:
    no_film = ("Expected a video", "got")
    return [
        Wish("no-film", "none.mp4", fate="failed", words=no_film),
        Wish("no-film-to-degrade", "none.mp4", "degrade", "failed", words=no_film),
        Wish("torn-strict", "torn.mkv", "trim", "failed", {"strict": True, "duration": 1.0}, ("Expected",)),
        Wish("too-high", "twin.mp4", fate="failed", settings={"target_height": 9999}, words=("height", "9999")),
        Wish("too-small", "least.mp4", "degrade", "failed", {"scale": "1/4"}, ("Expected",)),
        Wish("after-the-end", "twin.mp4", "trim", "failed", {"start": 99.0}, ("Expected",)),
        Wish("missing", "missing.mp4", fate="refused", words=("Expected a video at", "found none")),
        Wish("outside", "../../../secret.mp4", fate="refused", words=("TEXTOVSR_PATHS",)),
        Wish("too-faithful", "twin.mp4", fate="refused", settings={"fidelity": 7}, words=("max of 1.0", "fidelity")),
        Wish("no-number", "twin.mp4", fate="refused", settings={"crf": "good"}, words=("crf", "INT")),
        Wish("no-weights", "twin.mp4", fate="denied", settings={"weights": "other"}, words=("weights", "other")),
        Wish("no-preset", "twin.mp4", "degrade", "denied", {"preset": "tape"}, ("preset", "tape")),
        Wish("no-codec", "twin.mp4", fate="denied", settings={"codec": "zip"}, words=("codec", "zip")),
        Wish("no-fields", "twin.mp4", "trim", "denied", {"deinterlace": "often"}, ("deinterlace", "often")),
        Wish("no-node", "twin.mp4", "nonsense", "refused", words=("OVSR_NoSuchNode",)),
    ]


def _taken_back() -> list[Wish]:
    early, late = {"caption": "stopped early"}, {"caption": "stopped late"}
    return [
        *(Wish(f"withdrawn-{number}", "forty.mp4", fate="withdrawn") for number in range(5)),
        Wish("stopped-early", "long.mkv", fate="stopped", settings=early, stop_at=1),
        Wish("stopped-late", "long.mkv", fate="stopped", settings=late, stop_at=138),
        Wish("stopped-copying", "longer.mkv", "degrade", "stopped", {"preset": "VHS"}, stop_at=1),
    ]


def make_plan(seed: int) -> list[list[Wish]]:
    """The jobs of each client, in the order in which it asks for them; the last client is the sweeper."""
    rng = random.Random(seed)
    wishes = [*_succeeding(), *_failing(), *_taken_back()]
    rng.shuffle(wishes)
    dealt = [[replace(wish, client=n) for wish in wishes[n::CLIENTS]] for n in range(CLIENTS)]
    films = [name for name, film in FILMS.items() if film.damage == 1]
    swept = [
        Wish(f"swept-{n}", rng.choice(films), rng.choice(["upscale", "degrade"]), "withdrawn", client=SWEEPER)
        for n in range(6)
    ]
    return [*dealt, swept]
