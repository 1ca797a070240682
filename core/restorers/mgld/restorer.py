"""MGLD-VSR (ECCV 2024) as a streaming restorer.

Windows overlap, and where they do their latents are blended; the decoder sees the frames beside those that it makes.
All noise is decided by the seed and a frame's number, so that work goes on anywhere as if it had never stopped.
"""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor

from ....models.mgld.config import LATENT_CHANNELS, LATENT_SCALE
from ....models.mgld.video_vae import VideoVAE
from ...color_fix import fix_color
from ...diffusion.frame_noise import OF_LATENTS
from ...diffusion.tiles import Tiling
from ...motion.clip_motion import ClipMotion
from ...restorer import PromptedFrame, Shot
from ...text.open_clip_h import encode
from ...tiles import Check
from ...windows import Window, WindowPlan
from ..carrying_shot import ClipShot, blended
from ..parts import Parts
from ..system_restorer import SystemRestorer
from .canvas import LATENT, Canvas
from .codec import decode_frames, encode_frames
from .config import MgldConfig
from .memory import LEAST_TILE, LEAST_VAE_TILE, plan_tiles
from .motion import clip_motion
from .outer import TiledShot, outer_places
from .sampling import Clip, ClipSampler


class MgldRestorer(SystemRestorer[MgldConfig]):
    """Streams clips through MGLD-VSR.

    Args:
        parts: the networks, see ``part_names`` and ``mgld_loading``.
        config: how it is run.
        memory: bytes that may be used beside the weights.
    """

    title = "MGLD-VSR"
    part_names = ("text", "flow", "vae", "denoiser")
    """The networks by name: an ``OpenClipText``, a ``FlowNet``, a ``VideoVAE``, a ``Denoiser``."""

    def __init__(self, parts: Parts, config: MgldConfig, memory: int) -> None:
        super().__init__(parts, config, memory, encode)

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
        return torch.stack(self._texts.tokens(prompts))


class MgldShot(ClipShot):
    """One shot: the latents that the next window is blended with, and the frames that its decoder looks back at."""

    def __init__(self, restorer: MgldRestorer, canvas: Canvas, plan: WindowPlan) -> None:
        self._restorer, self._config, self._parts = restorer, restorer.config, restorer.parts
        length = min(plan.length + plan.look_ahead, self._config.window)
        super().__init__(self._config, length, canvas.frame, (LATENT_CHANNELS, *canvas.grid))
        self._canvas = canvas
        tile, vae_tile = plan.tiles
        self._tile = canvas.tile_side(tile, min(self._config.tile or LEAST_TILE, LEAST_TILE))
        self._vae_tile = canvas.tile_side(vae_tile, LEAST_VAE_TILE)

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the next window's kept frames; see ``Shot.restore``. Peak memory: a window's enlarged frames."""
        latents = self._latents(window, check)
        frames = self._decode(window, latents, check)
        self._remember(window, latents)
        for item, frame in zip(window.items, frames, strict=False):
            check()
            yield fix_color(self._canvas.finish(frame), item.image, self._config.color_fix)

    def _latents(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """Of all frames of the window, (n,4,h,w) CPU: sampled, the first ones blended with what is known of them."""
        count, known = len(window.items), self._carried["ahead"]
        if count <= len(known):
            return known[:count]
        sampled = self._sample(window, check)[:count].cpu()
        return blended(sampled, known, self._config.curve)

    def _sample(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """(``length``,4,h,w), the last ones of a window that is too short of frames that fill it up."""
        config, device = self._config, self._parts.device
        order = self._order(len(window.items))
        frames = self._canvas.enlarge(torch.stack([item.image.float() for item in window.items]))
        context = self._restorer.tokens([window.items[i].prompt for i in order])
        check()
        motion = self._motion(frames[order], check)
        numbers = range(window.start, window.start + len(order))
        noise = config.noise.of_clip(numbers, (LATENT_CHANNELS, *self._canvas.grid), device)
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
        before, clip = self._carried["images"], self._seen(window, latents)
        images = [*before.float(), *(item.image.float() for item in window.items[: len(clip) - len(before)])]
        order = self._order(len(clip))
        frames = self._canvas.enlarge(torch.stack(images))
        vae = cast("VideoVAE", self._parts.use("vae")[0])
        moved = clip[order].to(self._parts.device)
        decoded = decode_frames(vae, moved, frames[order], self._config.fidelity, self._vae_tile, check)
        return decoded[len(before) :][: window.kept]
