"""STAR (ICCV 2025), the version on I2VGen-XL, as a streaming restorer.

Spans of frames overlap, and where they do their latents are blended; the decoder sees the frames beside those that it
makes. All noise is decided by the seed and a frame's number, so that work goes on anywhere as if it had never stopped.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.star.chunks import Chunks
from ...color_fix import fix_color
from ...config import SCALE
from ...diffusion.frame_noise import frame_noise
from ...overlaps import blend_weights
from ...restorer import PromptedFrame, Shot
from ...text.open_clip_h import encode
from ...tiles import Check
from ...windows import Window, WindowPlan
from ..fingerprint import fingerprint
from ..parts import Parts, TellStep, untold
from ..precision import in_single_precision
from .canvas import Canvas
from .codec import Codec, decode_groups, groups
from .config import StarConfig
from .memory import least_chunks, plan_chunks, plan_tiles
from .sampling import OF_LATENTS, Clip, ClipSampler
from .vae import SvdVae

PARTS = ("text", "vae", "denoiser")
"""The networks by name: an ``OpenClipText``, an ``SvdVae``, a ``StarNet``."""

_CHANNELS = 4
_PROMPTS = 32
"""Prompts whose tokens are kept."""

Embed = Callable[[Any, Sequence[str]], Tensor]
"""The text network and B prompts to what the denoiser reads, (B,K,D)."""


class StarRestorer:
    """Streams clips through STAR.

    Args:
        parts: the networks, see ``PARTS`` and ``loading``; text and autoencoder were published in full precision.
        config: how it is run.
        memory: bytes that may be used beside the weights.
        embed: how prompts go through the text network.
    """

    scale = SCALE

    def __init__(self, parts: Parts, config: StarConfig, memory: int, embed: Embed = encode) -> None:
        self.parts, self.config, self.memory = parts, config, memory
        self.tell_step: TellStep = untold
        self._embed = embed
        self._texts: dict[str, Tensor] = {}

    @cached_property
    def identity(self) -> str:
        """See ``Restorer.identity``: a hash of the weights, which takes seconds, and all settings."""
        weights = " ".join(fingerprint(*self.parts.use(name)) for name in PARTS)
        return f"STAR {weights} {self.config} {self.parts.device.type} {self.parts.dtype}"

    def plan(self, height: int, width: int) -> WindowPlan:
        """Spans as configured; tiles of the denoiser and of the autoencoder, see ``plan_tiles``."""
        config = self.config
        canvas = Canvas.of((height, width), config)
        tiles = plan_tiles(canvas, config, self.memory, self.parts.dtype)
        return WindowPlan(config.span - config.overlap, config.overlap, tiles)

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> Shot:
        """Start a shot; the plan's tiles are those of ``plan``."""
        shrunk = plan != self.plan(height, width)
        chunks = least_chunks() if shrunk else plan_chunks(self.memory, self.parts.dtype)
        return StarShot(self, Canvas.of((height, width), self.config), plan, chunks)

    def texts(self, prompt: str) -> tuple[Tensor, Tensor]:
        """What the denoiser reads of a caption and of what is not wanted, (K,D) each; computed once for each."""
        config = self.config
        prompt = prompt.strip()
        wanted = f"{prompt}{config.separator if prompt and config.suffix else ''}{config.suffix}"
        new = [text for text in dict.fromkeys([config.negative, wanted]) if text not in self._texts]
        if new:
            if len(self._texts) > _PROMPTS:
                new, self._texts = list(dict.fromkeys([config.negative, wanted])), {}
            (network,) = self.parts.use("text")
            self._texts.update(zip(new, self._embed(network, new), strict=True))
        return self._texts[wanted], self._texts[config.negative]


class StarShot:
    """One shot: the latents that the next span is blended with, and those that its decoder looks back at."""

    def __init__(self, restorer: StarRestorer, canvas: Canvas, plan: WindowPlan, chunks: Chunks) -> None:
        self._restorer, self._config, self._parts = restorer, restorer.config, restorer.parts
        self._canvas, self._chunks = canvas, chunks
        self._tile, self._vae_tile = (canvas.tile_side(side) for side in plan.tiles)
        self._ahead = self._before = torch.zeros(0, _CHANNELS, *canvas.grid)

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the next span's kept frames; see ``Shot.restore``. Peak memory: what sampling or decoding needs."""
        latents = self._latents(window, check)
        yield from self._decode(window, latents, check)
        seen = torch.cat([self._before, latents[: window.kept]])
        self._before = seen[max(len(seen) - self._config.context, 0) :].clone()
        self._ahead = latents[window.kept :].clone()

    def state(self) -> dict[str, Tensor]:
        """See ``Shot.state``: latents of the frames ahead, and of those that the decoder looks back at."""
        state = {"ahead": self._ahead, "before": self._before}
        return {key: value for key, value in state.items() if len(value)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See ``Shot.load_state``."""
        self._ahead = state.get("ahead", self._ahead)
        self._before = state.get("before", self._before)

    def _latents(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """Of all frames of the span, (n,4,h,w) CPU: sampled, the first ones blended with what is known of them."""
        count, known = len(window.items), self._ahead
        if count <= len(known):
            return known[:count]
        sampled = self._sample(window, check)
        for index, weight in enumerate(blend_weights(len(known), self._config.curve)):
            sampled[index] = torch.lerp(sampled[index], known[index], weight)
        return sampled

    def _sample(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """(n,4,h,w). A span that is short, at a shot's end, is sampled as short as it is: any length can be."""
        config, device, dtype = self._config, self._parts.device, self._parts.dtype
        numbers = range(window.start, window.start + len(window.items))

        def noise(kind: str) -> Tensor:
            return frame_noise(config.seed, kind, numbers, (_CHANNELS, *self._canvas.grid)).to(device)

        check()
        positive, negative = (text.to(device, dtype) for text in self._restorer.texts(_prompt(window)))
        check()
        mean, deviation = self._encode(window, check)
        if config.latents == "sample":
            mean = mean + deviation * noise(OF_LATENTS)
        (denoiser,) = self._parts.use("denoiser")
        sampler = ClipSampler(denoiser, self._tile, config, check, self._chunks, self._restorer.tell_step)
        return sampler.sample(Clip(mean, positive, negative, noise)).cpu()

    def _encode(self, window: Window[PromptedFrame], check: Check) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the latents of the enlarged frames, (n,4,h,w) each, on the denoiser's device."""
        codec, canvas = self._codec(check), self._canvas
        moments = [codec.encode(canvas.pad(canvas.enlarge(item.image.float()))) for item in window.items]
        mean, deviation = (torch.stack(part).to(self._parts.device) for part in zip(*moments, strict=True))
        return mean, deviation

    def _decode(self, window: Window[PromptedFrame], latents: Tensor, check: Check) -> Iterator[Tensor]:
        """The span's kept frames, a group at a time, with the frames beside them, in the colours of the input."""
        check()
        config, clip, before = self._config, torch.cat([self._before, latents]), len(self._before)
        chosen = groups(range(before, before + window.kept), len(clip), config.group, config.context)
        frames = decode_groups(self._codec(check), clip, chosen)
        for item, frame in zip(window.items, frames, strict=False):
            image = item.image.float()
            if config.color_source == "enlarged":
                source = self._canvas.enlarge(image)
            else:  # the same numbers of each pixel, so that mean and deviation are those of the input
                source = F.interpolate(image[None], size=self._canvas.enlarged, mode="nearest")[0]
            yield fix_color(self._canvas.finish(frame), source, config.color_fix)

    def _codec(self, check: Check) -> Codec:
        vae = cast("SvdVae", self._parts.use("vae")[0])
        return Codec(in_single_precision(vae), self._parts.dtype, self._vae_tile, check)


def _prompt(window: Window[PromptedFrame]) -> str:
    """What is said of most of the frames: the network reads one text for all."""
    return Counter(item.prompt for item in window.items).most_common(1)[0][0]
