"""What the degradation text does: PSNR-Y with the right one, with none, with its opposite, and with a clean clip's."""

import json
from collections.abc import Sequence

import torch
from common import KINDS, VALIDATE, read_clip
from quality_methods import Guided, Method
from quality_scores import quantize

from textovsr.core.degrade.chain import SCALE, describe_chain
from textovsr.core.degrade.operations import Blur, GaussianNoise, ImageCompression, Operation, Resize, VideoCompression
from textovsr.core.quality.fidelity import psnr_y

HEADER = ("clip", "method", "right", "none", "opposite", "clean", "right - none", "right - opposite", "right - clean")

CLEAN = "downsample"
"""The text of a clip that was only made smaller."""

WORST = "heavy blur, downsample, heavy noise, heavy image compression, heavy video compression"


def right_text(clip: str, kind: str) -> str:
    """What was done to a validation clip, in the words of the training."""
    if kind == "bicubic":
        return CLEAN
    entry = json.loads((VALIDATE / "manifest.json").read_text("utf-8"))[clip]
    done, (first, second) = entry["degradation"], entry["hr"]
    chain: list[Operation] = [
        Blur("aniso", 21, (done["sx"], done["sy"])),
        Resize((first // SCALE, second // SCALE), "bicubic", "downsample"),
        GaussianNoise(done["noise"], grey=False),
        ImageCompression(done["jpeg"]),
        VideoCompression("libx264", crf=done["crf"]),
    ]
    return describe_chain(chain)


def opposite_text(text: str) -> str:
    """Light becomes heavy and heavy light; medium, which has no opposite, heavy; of a clean clip all that is bad."""
    if text == CLEAN:
        return WORST
    opposites = {"light": "heavy", "medium": "heavy", "heavy": "light"}
    return " ".join(opposites.get(word, word) for word in text.split(" "))


@torch.inference_mode()
def compare_texts(method: Method, clips: Sequence[str], frames: int) -> list[list[str]]:
    """One row a clip, and the means of each kind; none for a method without texts."""
    if method.guided is None:
        return []
    upscale = method.guided()
    rows = []
    for kind in KINDS:
        found = [_measure(upscale, clip, kind, frames) for clip in clips]
        means = [sum(column) / len(column) for column in zip(*found, strict=True)]
        names = [*clips, "mean"] if len(clips) > 1 else clips
        for name, scores in zip(names, [*found, means], strict=False):
            differences = [f"{scores[0] - other:+.3f}" for other in scores[1:]]
            rows.append([f"{name}, {kind} LR", method.name, *(f"{score:.3f}" for score in scores), *differences])
    return rows


def _measure(upscale: Guided, clip: str, kind: str, frames: int) -> list[float]:
    """PSNR-Y with the right text, none, the opposite one, and the one of a clean clip."""
    hr, lr = quantize(read_clip(f"{clip}_hr", frames)), read_clip(f"{clip}_lr_{kind}", frames)
    right = right_text(clip, kind)
    return [psnr_y(quantize(upscale(lr, text)), hr) for text in (right, "", opposite_text(right), CLEAN)]
