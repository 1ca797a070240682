"""MGLD-VSR (ECCV 2024) as a streaming restorer.

Windows overlap, and where they do their latents are blended; the decoder sees the frames beside those that it makes.
All noise is decided by the seed and a frame's number, so that work goes on anywhere as if it had never stopped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from ....models.mgld.config import LATENT_CHANNELS, LATENT_SCALE
from ....models.mgld.video_vae import VideoVAE
from ....models.open_clip_text import OpenClipText
from ...color_fix import fix_color
from ...config import SCALE
from ...diffusion.tiles import Tiling
from ...motion.clip_motion import ClipMotion
from ...overlaps import blend_weights
from ...restorer import PromptedFrame, Shot
from ...text.open_clip_h import encode
from ...tiles import Check
from ...windows import Window, WindowPlan
from ..fingerprint import fingerprint
from ..parts import Parts, TellStep, untold
from .canvas import LATENT, Canvas
from .codec import decode_frames, encode_frames
from .config import MgldConfig
from .memory import LEAST_TILE, LEAST_VAE_TILE, plan_tiles
from .motion import clip_motion
from .outer import TiledShot, outer_places
from .sampling import OF_LATENTS, Clip, ClipSampler, clip_noise

PARTS = ("text", "flow", "vae", "denoiser")
"""The networks by name: an ``OpenClipText``, a ``FlowNet``, a ``VideoVAE``, a ``Denoiser``."""

_PROMPTS = 32
"""Prompts whose tokens are kept."""


class MgldRestorer:
    """Streams clips through MGLD-VSR.

    Args:
        parts: the networks, see ``PARTS`` and ``mgld_loading``.
        config: how it is run.
        memory: bytes that may be used beside the weights.
    """

    scale = SCALE

    def __init__(self, parts: Parts, config: MgldConfig, memory: int) -> None:
        self.parts, self.config, self.memory = parts, config, memory
        self.tell_step: TellStep = untold
        self._texts: dict[str, Tensor] = {}

    @cached_property
    def identity(self) -> str:
        """See ``Restorer.identity``: a hash of the weights, which takes seconds, and all settings."""
        weights = " ".join(fingerprint(*self.parts.use(name)) for name in PARTS)
        return f"MGLD-VSR {weights} {self.config} {self.parts.device.type} {self.parts.dtype}"

    def plan(self, height: int, width: int) -> WindowPlan:
        """Windows as configured; tiles of the denoiser and of the autoencoder, see ``plan_tiles``."""
        canvas = Canvas.of((height, width), self.config)
        tiles = plan_tiles(canvas, self.config, self.memory, self.parts.dtype)
        return WindowPlan(self.config.window - self.config.overlap, self.config.overlap, tiles)

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> Shot:
        """Start a shot; the plan's tiles are those of ``plan``."""
        size, side = (height, width), self.config.outer_tile
        canvas = Canvas.of(size, self.config)
        if not side or max(canvas.enlarged) <= side:
            return MgldShot(self, canvas, plan)
        places = outer_places(size, round(side / canvas.share))
        sizes = [(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in places]
        shots = [MgldShot(self, Canvas.of(tile, self.config), plan) for tile in sizes]
        return TiledShot(shots, places, size, even=self.config.tile_weights == "published")

    def tokens(self, prompts: Sequence[str]) -> Tensor:
        """What the denoiser reads of each frame's prompt, (T,77,D); computed once for each."""
        prompts = prompts if self.config.captions else [""] * len(prompts)
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._texts]
        if new:
            if len(self._texts) > _PROMPTS:
                new, self._texts = list(dict.fromkeys(prompts)), {}
            text = cast("OpenClipText", self.parts.use("text")[0])
            self._texts.update(zip(new, encode(text, new), strict=True))
        return torch.stack([self._texts[prompt] for prompt in prompts])


@dataclass(frozen=True)
class _Seen:
    """n frames: their latents (n,4,h,w), and themselves (n,3,H,W) in half precision; CPU."""

    latents: Tensor
    images: Tensor


class MgldShot:
    """One shot: the latents that the next window is blended with, and the frames that its decoder looks back at."""

    def __init__(self, restorer: MgldRestorer, canvas: Canvas, plan: WindowPlan) -> None:
        self._restorer, self._config, self._parts = restorer, restorer.config, restorer.parts
        self._canvas = canvas
        tile, vae_tile = plan.tiles
        self._tile = canvas.tile_side(tile, min(self._config.tile or LEAST_TILE, LEAST_TILE))
        self._vae_tile = canvas.tile_side(vae_tile, LEAST_VAE_TILE)
        self._length = min(plan.length + plan.look_ahead, self._config.window)
        self._ahead = torch.zeros(0, LATENT_CHANNELS, *canvas.grid)
        self._before = _Seen(self._ahead, torch.zeros(0, 3, *canvas.frame, dtype=torch.float16))

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the next window's kept frames; see ``Shot.restore``. Peak memory: a window's enlarged frames."""
        latents = self._latents(window, check)
        frames = self._decode(window, latents, check)
        self._remember(window, latents)
        for item, frame in zip(window.items, frames, strict=False):
            check()
            yield fix_color(self._canvas.finish(frame), item.image, self._config.color_fix)

    def state(self) -> dict[str, Tensor]:
        """See ``Shot.state``: the latents of the overlap; the last ``context`` frames and theirs."""
        state = {"ahead": self._ahead, "latents": self._before.latents, "images": self._before.images}
        return {key: value for key, value in state.items() if len(value)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See ``Shot.load_state``."""
        self._ahead = state.get("ahead", self._ahead)
        self._before = _Seen(state.get("latents", self._before.latents), state.get("images", self._before.images))

    def _latents(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """Of all frames of the window, (n,4,h,w) CPU: sampled, the first ones blended with what is known of them."""
        count, known = len(window.items), self._ahead
        if count <= len(known):
            return known[:count]
        sampled = self._sample(window, check)[:count].cpu()
        for index, weight in enumerate(blend_weights(len(known), self._config.curve)):
            sampled[index] = torch.lerp(sampled[index], known[index], weight)
        return sampled

    def _sample(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """(``length``,4,h,w), the last ones of a window that is too short of frames that fill it up."""
        config, device = self._config, self._parts.device
        order = _filled(len(window.items), max(self._length, len(window.items)), config.fill == "mirror")
        frames = self._canvas.enlarge(torch.stack([item.image.float() for item in window.items]))
        context = self._restorer.tokens([window.items[i].prompt for i in order])
        check()
        motion = self._motion(frames[order], check)
        noise = clip_noise(
            config, range(window.start, window.start + len(order)), (LATENT_CHANNELS, *self._canvas.grid), device
        )
        vae = cast("VideoVAE", self._parts.use("vae")[0])
        mean, log_variance = encode_frames(vae, frames, self._vae_tile, check)
        latents = mean[order].to(device)
        if config.latents == "sample":
            latents = latents + (0.5 * log_variance[order].to(device)).exp() * noise(OF_LATENTS)
        (denoiser,) = self._parts.use("denoiser")
        side = self._tile // LATENT
        tiling = Tiling(side, side // 2, config.tile_weights == "published")
        sampler = ClipSampler(denoiser, tiling, config.steps, config.guidance, check, self._restorer.tell_step)
        return sampler.sample(Clip(LATENT_SCALE * latents, context.to(device, self._parts.dtype), motion, noise))

    def _motion(self, frames: Tensor, check: Check) -> ClipMotion | None:
        if self._config.guidance is None or len(frames) < 2:
            return None
        (flow,) = self._parts.use("flow")
        return clip_motion(flow, frames, self._parts.device, self._config.flow == "published", check)

    def _decode(self, window: Window[PromptedFrame], latents: Tensor, check: Check) -> Tensor:
        """The window's kept frames, (kept,3,*padded), about [-1,1], CPU; frames beside them are decoded along."""
        before, config = self._before, self._config
        ahead = min(max(config.context, self._length - len(before.latents) - window.kept), len(latents) - window.kept)
        count = window.kept + ahead
        clip = torch.cat([before.latents, latents[:count]])
        images = [*before.images.float(), *(item.image.float() for item in window.items[:count])]
        order = _filled(len(clip), max(self._length, len(clip)), config.fill == "mirror")
        frames = self._canvas.enlarge(torch.stack(images))
        vae = cast("VideoVAE", self._parts.use("vae")[0])
        moved = clip[order].to(self._parts.device)
        decoded = decode_frames(vae, moved, frames[order], config.fidelity, self._vae_tile, check)
        return decoded[len(before.latents) :][: window.kept]

    def _remember(self, window: Window[PromptedFrame], latents: Tensor) -> None:
        images = torch.stack([item.image.half() for item in window.items[: window.kept]])
        latest = max(len(self._before.latents) + window.kept - self._config.context, 0)
        self._before = _Seen(
            torch.cat([self._before.latents, latents[: window.kept]])[latest:].clone(),
            torch.cat([self._before.images, images])[latest:].clone(),
        )
        self._ahead = latents[window.kept :].clone()


def _filled(count: int, length: int, mirror: bool) -> list[int]:
    """Numbers of ``length`` frames made of ``count``: back and forth again, or the last one for all that follow."""
    turn = max(2 * (count - 1), 1)
    if not mirror or count < 2:
        return [min(i, count - 1) for i in range(length)]
    return [min(i % turn, turn - i % turn) for i in range(length)]
