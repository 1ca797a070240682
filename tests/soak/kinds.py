"""One short graph of every kind that computes, each different every time, so that ComfyUI has no result of it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from textovsr.tests.helpers.clip import small_clip
from textovsr.tests.helpers.diffusion import save_vae
from textovsr.tests.helpers.diffusion_files import SAVE
from textovsr.tests.soak.long_run import WEIGHTS, put_weights
from textovsr.tests.soak.material import write_long

Prompt = dict[str, Any]

CLIP, _SIDES = "soak.mp4", (64, 36)
_SMALL, _SMALL_SIDES = "soak_small.mp4", (32, 18)
"""What the diffusion system gets, the slowest of all."""

_SECONDS, _STEP = 0.2, 0.001
_SYSTEM = "DiffVSR"


def put_everything(base: Path, comfyui: Path, clip: Path) -> None:
    """Put tiny weights for every kind, and a clip, into a server's base folder.

    Args:
        base: of the server.
        comfyui: its program; imported into this process, for its VAE.
        clip: real footage.
    """
    if str(comfyui) not in sys.path:
        sys.path.append(str(comfyui))
    import comfy.cli_args

    comfy.cli_args.args.cpu = True
    put_weights(base)
    save_vae(base / "models" / "vae")
    SAVE[_SYSTEM](base / "models" / "textovsr" / "system")
    (base / "models" / "clip_iqa").mkdir(parents=True, exist_ok=True)
    save_file(small_clip(), base / "models" / "clip_iqa" / "small.safetensors")
    for name, sides in ((CLIP, _SIDES), (_SMALL, _SMALL_SIDES)):
        write_long(clip, base / "input" / name, 100, sides)


def _load(turn: int, file: str = CLIP) -> Prompt:
    inputs = {"file": file, "start": _STEP * (turn + 1), "duration": _SECONDS}
    return {"1": {"class_type": "OVSR_LoadVideo", "inputs": inputs}}


def _node(kind: str, **inputs: Any) -> Prompt:
    return {"class_type": kind, "inputs": inputs}


def _saved(prompt: Prompt, node: str = "2") -> Prompt:
    return prompt | {"9": _node("OVSR_SaveVideo", video=[node, 0], filename_prefix="soak/run")}


def _upscale(turn: int) -> Prompt:
    return _saved(_load(turn) | {"2": _node("OVSR_TextOVSRUpscale", video=["1", 0], weights=WEIGHTS)})


def _degradation_text(turn: int) -> Prompt:
    text = {"2": _node("OVSR_DegradationText", video=["1", 0]), "3": _node("PreviewAny", source=["2", 1])}
    return _load(turn) | text


def _score(turn: int) -> Prompt:
    score = {"2": _node("OVSR_CLIPIQAScore", video=["1", 0], max_frames=2), "3": _node("PreviewAny", source=["2", 0])}
    return _load(turn) | score


def _report(turn: int) -> Prompt:
    return _load(turn) | {"2": _node("OVSR_QualityReport", video=["1", 0], reference=["1", 0], measures="quick")}


def _diffusion(turn: int) -> Prompt:
    restore = _node("OVSR_DiffusionRestore", video=["1", 0], system=_SYSTEM, steps=1)
    return _saved(_load(turn, _SMALL) | {"2": restore})


def _codec(turn: int) -> Prompt:
    nodes = {
        "2": _node("VAELoader", vae_name="tiny_vae.safetensors"),
        "3": _node("OVSR_EncodeVideo", video=["1", 0], vae=["2", 0]),
        "4": _node("OVSR_DecodeVideo", samples=["3", 0], vae=["2", 0], source=["1", 0]),
    }
    return _saved(_load(turn) | nodes, "4")


def _compare(turn: int) -> Prompt:
    nodes = {
        "2": _node("OVSR_DegradeVideo", video=["1", 0], preset="webcam", seed=turn),
        "3": _node("OVSR_CompareVideos", a=["1", 0], b=["2", 0]),
    }
    return _load(turn) | nodes


def _images(turn: int) -> Prompt:
    nodes = {
        "2": _node("GetVideoComponents", video=["1", 0]),
        "3": _node("CreateVideo", images=["2", 0], fps=25.0),
    }
    return _saved(_load(turn) | nodes, "3")


def _flow(turn: int) -> Prompt:
    nodes = {
        "2": _node("OVSR_EstimateFlow", video=["1", 0], preview_frames=1),
        "3": _node("PreviewImage", images=["2", 1]),
    }
    return _load(turn) | nodes


KINDS: dict[str, Callable[[int], Prompt]] = {
    "upscale": _upscale,
    "degradation text": _degradation_text,
    "score": _score,
    "report": _report,
    "diffusion": _diffusion,
    "encode, decode": _codec,
    "degrade, compare": _compare,
    "images": _images,
    "flow": _flow,
}
"""By name: from the number of the run to a prompt."""
