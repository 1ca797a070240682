"""STAR's CogVideoX version (ICCV 2025) as a streaming restorer.

Latent 0 of a shot is its first frame, latent j frames 4j-3 to 4j. A model window begins at a frame 4j: its own first
latent stands for that frame alone and is dropped, the others are the shot's, and where two windows have the same their
latents are blended. The decoder sees the latents before those that are new. All noise is decided by the seed and a
latent's number, so that work goes on anywhere as if it had never stopped.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ....models.star_cog.config import LATENT_CHANNELS, LATENT_SCALE
from ...color_fix import fix_color
from ...config import SCALE
from ...errors import OutOfMemoryError
from ...overlaps import blend_weights
from ...restorer import PromptedFrame, Shot
from ...text.t5 import encode
from ...tiles import Check
from ...windows import Window, WindowPlan
from ..fingerprint import fingerprint
from ..parts import Parts, TellStep, untold
from .codec import decode_clip, encode_clip, enlarge, finish, grid
from .config import RATIO, StarCogConfig
from .memory import denoiser_tile, plan_tiles, vae_tile
from .sampling import OF_LATENTS, Clip, ClipSampler, clip_noise, oblong

PARTS = ("text", "vae", "denoiser")
"""The networks by name: a ``text.t5.T5Text``, diffusers' ``AutoencoderKLCogVideoX``, a ``StarCogTransformer``."""

_PROMPTS = 32
"""Prompts whose tokens are kept."""

Embed = Callable[[Any, str], Tensor]
"""The text network and a prompt to what the denoiser reads, (K,D)."""


class StarCogRestorer:
    """Streams clips through STAR's CogVideoX version.

    Args:
        parts: the networks, see ``PARTS`` and ``loading``; trained in bfloat16, float16 is too narrow for them.
        config: how it is run.
        memory: bytes that may be used beside the weights.
        embed: how a prompt goes through the text network.
    """

    scale = SCALE

    def __init__(self, parts: Parts, config: StarCogConfig, memory: int, embed: Embed = encode) -> None:
        self.parts, self.config, self.memory = parts, config, memory
        self.tell_step: TellStep = untold
        self._embed = embed
        self._texts: dict[str, Tensor] = {}

    @cached_property
    def identity(self) -> str:
        """See ``Restorer.identity``: a hash of the weights, which takes a minute, and all settings."""
        weights = " ".join(fingerprint(*self.parts.use(name)) for name in PARTS)
        return f"STAR CogVideoX {weights} {self.config} {self.parts.device.type} {self.parts.dtype}"

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
        if said not in self._texts:
            if len(self._texts) >= _PROMPTS:
                self._texts.clear()
            (network,) = self.parts.use("text")
            self._texts[said] = self._embed(network, said).to(self.parts.dtype)
        return self._texts[said]


class StarCogShot:
    """One shot: the latents that the next window is blended with, and those that its decoder looks back at."""

    def __init__(self, restorer: StarCogRestorer, size: tuple[int, int], plan: WindowPlan) -> None:
        self._restorer, self._config, self._parts = restorer, restorer.config, restorer.parts
        self._size, self._plan = size, plan
        self._tiling = oblong(denoiser_tile(plan.tiles[0], size))
        self._vae_tile = vae_tile(plan.tiles[1], size)
        self._ahead = self._before = torch.zeros(0, LATENT_CHANNELS, *grid(*size))

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the next window's kept frames; see ``Shot.restore``. Peak memory: a window's enlarged frames."""
        new, ahead = self._latents(window, check)
        known = torch.cat([self._before, new])
        first = _known(window.start) + 1 - len(self._before)  # the number of known[0]
        check()
        seen = torch.cat([known, ahead[:1]]) if len(known) % 2 == 0 else known  # the decoder wants an odd number
        decoded = decode_clip(self._vae(), seen, self._vae_tile, check)
        for index, item in enumerate(window.items[: window.kept]):
            check()
            frame = finish(decoded[window.start + index - RATIO * first], self._size)
            yield fix_color(frame, item.image.float(), self._config.color_fix)
        self._before = known[max(len(known) - self._config.context - 1, 0) :].clone()
        self._ahead = ahead.clone()

    def state(self) -> dict[str, Tensor]:
        """See ``Shot.state``: latents of the frames ahead, not blended, and those that the decoder looks back at."""
        state = {"ahead": self._ahead, "before": self._before}
        return {key: value for key, value in state.items() if len(value)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See ``Shot.load_state``."""
        self._ahead = state.get("ahead", self._ahead)
        self._before = state.get("before", self._before)

    def _latents(self, window: Window[PromptedFrame], check: Check) -> tuple[Tensor, Tensor]:
        """The shot's next latents, (n,16,h,w) CPU: those that the kept frames need, and further ones, not blended.

        Interweaved latent transition (DiffVSR, section 3.3), once, on the final latents.
        """
        known = _known(window.start)
        # A shot that goes on must know the first frame of the next window, which may not be the first of a latent.
        needed = _latent_of(window.start + window.kept - int(window.last)) - known
        if needed <= 0:
            return self._ahead[:0], self._ahead
        ahead, last = self._ahead, window.start + len(window.items) - 1
        if RATIO * (known + len(ahead)) >= last:
            return ahead[:needed], ahead[needed:]
        sampled = self._sample(window, known, check)
        if len(sampled) < needed:
            raise OutOfMemoryError(
                f"Expected windows of more frames than {len(window.items)} for the latents to be made; close other "
                "programs, or make the video smaller."
            )
        ahead = ahead[: len(sampled)]
        for index, weight in enumerate(blend_weights(len(ahead), self._config.curve)):
            sampled[index] = torch.lerp(sampled[index], ahead[index], weight)
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
        noise = clip_noise(config, numbers, (LATENT_CHANNELS, *grid(*self._size)), device)
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
    turn = max(2 * (count - 1), 1)
    return [min(i % turn, turn - i % turn) if count > 1 else 0 for i in range(length)]


def _latent_of(frame: int) -> int:
    """Number of the latent that a frame of the shot is in."""
    return -(-frame // RATIO)


def _known(start: int) -> int:
    """Number of the last latent that is known when a window begins, since the one before knew its first frame."""
    return _latent_of(start) if start else -1
