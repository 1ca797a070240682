"""STAR (ICCV 2025), the version on I2VGen-XL, as a streaming restorer.

Spans of frames overlap, and where they do their latents are blended; the decoder sees the frames beside those that it
makes. All noise is decided by the seed and a frame's number, so that work goes on anywhere as if it had never stopped.
"""

from collections import Counter
from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ....models.star.chunks import Chunks
from ...color_fix import fix_color
from ...diffusion.frame_noise import OF_LATENTS, NoisePlan
from ...overlaps import with_context
from ...restorer import PromptedFrame, Shot
from ...text.open_clip_h import encode
from ...tiles import Check
from ...windows import Window, WindowPlan
from ..carrying_shot import CarryingShot, blended
from ..parts import Parts
from ..precision import in_single_precision
from ..system_restorer import Embed, SystemRestorer
from .canvas import Canvas
from .codec import Codec, decode_groups
from .config import StarConfig
from .memory import least_chunks, plan_chunks, plan_tiles
from .sampling import Clip, ClipSampler
from .vae import SvdVae

_CHANNELS = 4


class StarRestorer(SystemRestorer[StarConfig]):
    """Streams clips through STAR.

    Args:
        parts: the networks, see ``part_names`` and ``loading``; text and autoencoder were published in full precision.
        config: how it is run.
        memory: bytes that may be used beside the weights.
        embed: how prompts go through the text network.
    """

    title = "STAR"
    part_names = ("text", "vae", "denoiser")
    """The networks by name: an ``OpenClipText``, an ``SvdVae``, a ``StarNet``."""

    def __init__(self, parts: Parts, config: StarConfig, memory: int, embed: Embed = encode) -> None:
        super().__init__(parts, config, memory, embed)

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
        negative, positive = self._texts.tokens([config.negative, wanted])
        return positive, negative


class StarShot(CarryingShot):
    """One shot: the latents that the next span is blended with, and those that its decoder looks back at."""

    def __init__(self, restorer: StarRestorer, canvas: Canvas, plan: WindowPlan, chunks: Chunks) -> None:
        latents = torch.zeros(0, _CHANNELS, *canvas.grid)
        super().__init__(ahead=latents, before=latents)
        self._restorer, self._config, self._parts = restorer, restorer.config, restorer.parts
        self._canvas, self._chunks = canvas, chunks
        self._tile, self._vae_tile = (canvas.tile_side(side) for side in plan.tiles)

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the next span's kept frames; see ``Shot.restore``. Peak memory: what sampling or decoding needs."""
        latents = self._latents(window, check)
        yield from self._decode(window, latents, check)
        self._keep("before", latents[: window.kept], self._config.context)
        self._keep_ahead(latents[window.kept :])

    def _latents(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """Of all frames of the span, (n,4,h,w) CPU: sampled, the first ones blended with what is known of them."""
        count, known = len(window.items), self._carried["ahead"]
        if count <= len(known):
            return known[:count]
        return blended(self._sample(window, check), known, self._config.curve)

    def _sample(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """(n,4,h,w). A span that is short, at a shot's end, is sampled as short as it is: any length can be."""
        config, device, dtype = self._config, self._parts.device, self._parts.dtype
        numbers = range(window.start, window.start + len(window.items))
        noise = NoisePlan(config.seed).of_clip(numbers, (_CHANNELS, *self._canvas.grid), device)
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
        config, before = self._config, len(self._carried["before"])
        clip = torch.cat([self._carried["before"], latents])
        chosen = with_context(range(before, before + window.kept), len(clip), config.group, config.context)
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
