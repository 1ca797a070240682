"""CLIP-IQA (Wang et al., AAAI 2023): is a picture more like "Good photo." or like "Bad photo." to CLIP?

CLIP with a ResNet (Radford et al., 2021), open_clip's network. The attention pool works without its position embedding
(section 3.2 of the paper), so that pictures of any size are judged as they are.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import CLIP_LEAST_SIDE
from ..errors import MissingDependencyError, SettingError, ShapeError, UnknownCheckpointError
from ..text.encode import tokenize
from .clip_files import AUTOMATIC, find_clip, read_clip

Pair = tuple[str, str]
"""What a good picture is like, and what a bad one is like."""

PUBLISHED_PAIRS: tuple[Pair, ...] = (("Good photo.", "Bad photo."),)
"""The antonyms of the paper."""

PYIQA_PAIRS: tuple[Pair, ...] = (
    ("Good image", "bad image"),
    ("Sharp image", "blurry image"),
    ("sharp edges", "blurry edges"),
    ("High resolution image", "low resolution image"),
    ("Noise-free image", "noisy image"),
)
"""What the package pyiqa averages under the name ``clipiqa``."""

_LOGIT_SCALE = math.log(100)
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HEAD = 64  # width of an attention head, in all of CLIP's towers
_SEPARATOR = "/"
_PLACES = "attnpool.positional_embedding"


class ClipIqa(nn.Module):
    """CLIP-IQA for given pairs of prompts, which are encoded once; in eval mode, nothing in it learns.

    Args:
        state_dict: CLIP with a ResNet as ``clip_files.read_clip`` gives it; any float type, becomes fp32.
        pairs: what is good and what is bad; the score is the mean over all pairs.

    Raises:
        SettingError: there is no pair.
        UnknownCheckpointError: the weights are of something else.
        MissingDependencyError: open_clip is not installed.
    """

    mean: Tensor
    std: Tensor
    texts: Tensor
    scale: Tensor

    def __init__(self, state_dict: Mapping[str, Tensor], pairs: Sequence[Pair] = PUBLISHED_PAIRS) -> None:
        super().__init__()
        if not pairs:
            raise SettingError("Expected at least one pair of prompts, got none; write one, such as sharp / blurry.")
        self.pairs = tuple(pairs)
        network = _build(state_dict)
        self.visual: nn.Module = network.visual
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        with torch.no_grad():
            ids, mask = tokenize([prompt for pair in pairs for prompt in pair])
            texts = network.encode_text(ids * mask, normalize=True)  # CLIP pads with zeros
            self.register_buffer("texts", texts.unflatten(0, (len(self.pairs), 2)))
            self.register_buffer("scale", network.logit_scale.exp())
        self.eval().requires_grad_(False)

    def scores(self, frames: Tensor) -> Tensor:
        """How good each frame is, over all pairs: (N,3,H,W) RGB in [0,1] -> (N,) from 0 to 1.

        Differentiable by ``frames``.

        Raises:
            ShapeError: see ``pair_scores``.
        """
        return self.pair_scores(frames).mean(1)

    def pair_scores(self, frames: Tensor) -> Tensor:
        """How much of each pair's first prompt is in each frame: (N,3,H,W) RGB in [0,1] -> (N,pairs) from 0 to 1.

        Raises:
            ShapeError: another number of channels or dimensions, or sides of less than 32 pixels.
        """
        if frames.ndim != 4 or frames.shape[1] != 3 or min(frames.shape[-2:]) < CLIP_LEAST_SIDE:
            raise ShapeError(
                f"Expected frames (N,3,H,W) with sides of at least {CLIP_LEAST_SIDE} pixels for CLIP-IQA, got "
                f"{tuple(frames.shape)}; upscale them first."
            )
        features = F.normalize(self.visual((frames - self.mean) / self.std).float(), dim=-1)
        cosines = (features[:, None, None] * self.texts).sum(-1)  # (N,pairs,2); no product that autocast would round
        return (self.scale * cosines).softmax(-1)[..., 0]


def load_clip_iqa(path: Path, pairs: Sequence[Pair] = PUBLISHED_PAIRS) -> ClipIqa:
    """CLIP-IQA with the weights of a file, on the CPU; see ``clip_files.read_clip`` for the formats.

    Raises:
        WeightsError: the file is not there, damaged, or no CLIP with a ResNet.
    """
    return ClipIqa(read_clip(path), pairs)


def load_found_clip_iqa(device: torch.device, name: str = AUTOMATIC, folders: Sequence[Path] = ()) -> ClipIqa:
    """CLIP-IQA with the paper's prompts and the weights of a name, see ``clip_files.find_clip``, on a device.

    Raises:
        WeightsError: the file is not there, damaged, or no CLIP with a ResNet.
    """
    return load_clip_iqa(find_clip(name, folders)).to(device)


def parse_pairs(text: str) -> tuple[Pair, ...]:
    """Pairs of prompts from text, a line each: ``sharp / blurry``. Empty text means the paper's pair.

    Raises:
        SettingError: a line is no pair.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return tuple(_pair(line) for line in lines) or PUBLISHED_PAIRS


def pair_name(pair: Pair) -> str:
    """A pair as ``parse_pairs`` reads it."""
    return f" {_SEPARATOR} ".join(pair)


def _pair(line: str) -> Pair:
    good, separator, bad = (part.strip() for part in line.partition(_SEPARATOR))
    if not (good and separator and bad) or _SEPARATOR in bad:
        raise SettingError(
            f"Expected a pair of prompts, the good one first, such as sharp {_SEPARATOR} blurry, got {line!r}; "
            "write one pair a line."
        )
    return good, bad


def _build(state_dict: Mapping[str, Tensor]) -> Any:
    """open_clip's network with these weights, whose pool knows no places."""
    state = {key: value.float() for key, value in state_dict.items()}
    try:
        network = _empty(state)
        state.setdefault("logit_scale", torch.tensor(_LOGIT_SCALE))
        state[f"visual.{_PLACES}"] = torch.zeros(1, state["visual.attnpool.q_proj.weight"].shape[0])
        network.load_state_dict({key: state[key] for key in network.state_dict()})
    except (LookupError, RuntimeError, ZeroDivisionError) as error:
        raise UnknownCheckpointError(
            f"Expected CLIP with a ResNet (RN50) and both of its towers, got weights that do not fit: {error}; "
            "choose another file for clip, such as OpenAI's RN50."
        ) from error
    return network.eval()


def _empty(state: Mapping[str, Tensor]) -> Any:
    try:
        from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
    except ImportError as error:
        raise MissingDependencyError(
            "Expected the package open_clip_torch for CLIP-IQA, found none; run `pip install open_clip_torch`."
        ) from error
    vocabulary, width = state["token_embedding.weight"].shape
    text = CLIPTextCfg(
        context_length=state["positional_embedding"].shape[0],
        vocab_size=vocabulary,
        width=width,
        heads=max(1, width // _HEAD),
        layers=_count(state, "transformer.resblocks."),
    )
    layers = tuple(_count(state, f"visual.layer{stage}.") for stage in (1, 2, 3, 4))
    vision = CLIPVisionCfg(layers=layers, width=state["visual.conv3.weight"].shape[0], head_width=_HEAD)
    with torch.random.fork_rng(devices=()):  # its random weights must not disturb a training's numbers
        network = CLIP(state["text_projection"].shape[1], vision, text, quick_gelu=True)
    pool = network.visual.attnpool
    pool.positional_embedding = nn.Parameter(torch.zeros(1, pool.positional_embedding.shape[1]))
    return network


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Numbered parts under a prefix; a KeyError if there are none."""
    numbers = {key.removeprefix(prefix).partition(".")[0] for key in state if key.startswith(prefix)}
    if not numbers:
        raise KeyError(prefix)
    return len(numbers)
