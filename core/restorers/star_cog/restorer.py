"""STAR's CogVideoX version (ICCV 2025) as a streaming restorer.

Latent 0 of a shot is its first frame, latent j frames 4j-3 to 4j. A model window begins at a frame 4j: its own first
latent stands for that frame alone and is dropped, the others are the shot's, and where two windows have the same their
latents are blended. The decoder sees the latents before those that are new. All noise is decided by the seed and a
latent's number, so that work goes on anywhere as if it had never stopped.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ....models.star_cog.config import LATENT_CHANNELS, LATENT_SCALE
from ...color_fix import fix_color
from ...diffusion.frame_noise import OF_LATENTS
from ...errors import OutOfMemoryError
from ...overlaps import filled_order
from ...restorer import PromptedFrame, Shot
from ...text.t5 import encode
from ...tiles import Check
from ...windows import Window, WindowPlan
from ..carrying_shot import CarryingShot, blended
from ..parts import Parts
from ..system_restorer import SystemRestorer
from .codec import decode_clip, encode_clip, enlarge, finish, grid
from .config import RATIO, StarCogConfig
from .memory import denoiser_tile, plan_tiles, vae_tile
from .sampling import Clip, ClipSampler, oblong

EmbedOne = Callable[[Any, str], Tensor]
"""The text network and a prompt to what the denoiser reads, (K,D)."""


class StarCogRestorer(SystemRestorer[StarCogConfig]):
    """Streams clips through STAR's CogVideoX version.

    Args:
        parts: the networks, see ``part_names`` and ``loading``; trained in bfloat16, float16 is too narrow for them.
        config: how it is run.
        memory: bytes that may be used beside the weights.
        embed: how a prompt goes through the text network.
    """

    title = "STAR CogVideoX"
    part_names = ("text", "vae", "denoiser")
    """The networks by name: a ``text.t5.T5Text``, diffusers' ``AutoencoderKLCogVideoX``, a ``StarCogTransformer``."""

    def __init__(self, parts: Parts, config: StarCogConfig, memory: int, embed: EmbedOne = encode) -> None:
        super().__init__(parts, config, memory, lambda network, said: [embed(network, text) for text in said])

    def plan(self, height: int, width: int) -> WindowPlan:
        """Windows as configured; tiles of the denoiser and of the autoencoder, see ``plan_tiles``."""
        tiles = plan_tiles((height, width), self.config, self.memory, self.parts.dtype)
        ahead = self.config.overlap + 1
        return WindowPlan(self.config.window - ahead, ahead, tiles)

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> Shot:
        """Start a shot; the plan's tiles are those of ``plan``."""
        if plan.look_ahead < RATIO:
            raise OutOfMemoryError(
                f"Expected room for at least {RATIO + 1} frames at once, found none; close other programs, or make the "
                "video smaller."
            )
        return StarCogShot(self, (height, width), plan)

    def text(self, prompt: str) -> Tensor:
        """What the denoiser reads of a prompt, (K,D); computed once for each."""
        said = f"{prompt.strip()} {self.config.suffix}".strip()
        return self._texts.tokens([said])[0]


class StarCogShot(CarryingShot):
    """One shot: the latents that the next window is blended with, and those that its decoder looks back at."""

    def __init__(self, restorer: StarCogRestorer, size: tuple[int, int], plan: WindowPlan) -> None:
        latents = torch.zeros(0, LATENT_CHANNELS, *grid(*size))
        super().__init__(ahead=latents, before=latents)
        self._restorer, self._config, self._parts = restorer, restorer.config, restorer.parts
        self._size, self._plan = size, plan
        self._tiling = oblong(denoiser_tile(plan.tiles[0], size))
        self._vae_tile = vae_tile(plan.tiles[1], size)

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the next window's kept frames; see ``Shot.restore``. Peak memory: a window's enlarged frames."""
        new, ahead = self._latents(window, check)
        before = self._carried["before"]
        known = torch.cat([before, new])
        first = _known(window.start) + 1 - len(before)  # the number of known[0]
        check()
        seen = torch.cat([known, ahead[:1]]) if len(known) % 2 == 0 else known  # the decoder wants an odd number
        decoded = decode_clip(self._vae(), seen, self._vae_tile, check)
        for index, item in enumerate(window.items[: window.kept]):
            check()
            frame = finish(decoded[window.start + index - RATIO * first], self._size)
            yield fix_color(frame, item.image.float(), self._config.color_fix)
        self._keep("before", new, self._config.context + 1)
        self._keep_ahead(ahead)

    def _latents(self, window: Window[PromptedFrame], check: Check) -> tuple[Tensor, Tensor]:
        """The shot's next latents, (n,16,h,w) CPU: those that the kept frames need, and further ones, not blended."""
        known = _known(window.start)
        # A shot that goes on must know the first frame of the next window, which may not be the first of a latent.
        needed = _latent_of(window.start + window.kept - int(window.last)) - known
        if needed <= 0:
            return self._carried["ahead"][:0], self._carried["ahead"]
        ahead, last = self._carried["ahead"], window.start + len(window.items) - 1
        if RATIO * (known + len(ahead)) >= last:
            return ahead[:needed], ahead[needed:]
        sampled = self._sample(window, known, check)
        if len(sampled) < needed:
            raise OutOfMemoryError(
                f"Expected windows of more frames than {len(window.items)} for the latents to be made; close other "
                "programs, or make the video smaller."
            )
        sampled = blended(sampled, ahead[: len(sampled)], self._config.curve)
        return sampled[:needed], sampled[needed:]

    def _sample(self, window: Window[PromptedFrame], known: int, check: Check) -> Tensor:
        """The latents after the last known one, as many as the window's frames give, (n,16,h,w) CPU."""
        config, device, dtype = self._config, self._parts.device, self._parts.dtype
        items = window.items[max(RATIO * known, 0) - window.start :]
        complete = len(window.items) == self._plan.length + self._plan.look_ahead
        order = whole_latents(len(items), fill=not complete)
        check()
        text = self._restorer.text(items[0].prompt)
        frames = enlarge(torch.stack([item.image.float() for item in items]))[order]
        numbers = range(max(known, 0), max(known, 0) + len(order) // RATIO + 1)
        noise = config.noise.of_clip(numbers, (LATENT_CHANNELS, *grid(*self._size)), device)
        check()
        mean, deviation = encode_clip(self._vae(), frames, self._vae_tile, check)
        latents = mean.to(device)
        if config.latents == "sample":
            latents = latents + deviation.to(device) * noise(OF_LATENTS)
        (denoiser,) = self._parts.use("denoiser")
        sampler = ClipSampler(denoiser, self._tiling, config, check, self._restorer.tell_step)
        sampled = sampler.sample(Clip(LATENT_SCALE * latents, text.to(device, dtype), noise)).cpu()
        return sampled if known < 0 else sampled[1:]

    def _vae(self) -> nn.Module:
        return self._parts.use("vae")[0]


def whole_latents(count: int, fill: bool) -> list[int]:
    """Numbers of frames that are whole latents, 4k+1 of them, of ``count``.

    Args:
        count: frames that there are.
        fill: go back for what is missing of the last latent, as often as it takes; else leave that latent out.
    """
    if not fill:
        return list(range((count - 1) // RATIO * RATIO + 1))
    length = -(-(count - 1) // RATIO) * RATIO + 1
    return filled_order(count, length)


def _latent_of(frame: int) -> int:
    """Number of the latent that a frame of the shot is in."""
    return -(-frame // RATIO)


def _known(start: int) -> int:
    """Number of the last latent that is known when a window begins, since the one before knew its first frame."""
    return _latent_of(start) if start else -1
