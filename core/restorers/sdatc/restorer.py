"""SDATC as a streaming restorer.

Each frame is cleaned and enlarged by the DCM; what it made is the condition that a clip is sampled with. Windows
overlap, and where they do the later one is led by the one before; the decoder sees the frames beside those that it
makes. All noise is decided by the seed and a frame's number, so that work goes on anywhere as if it had never stopped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from ....models.sdatc.config import LATENT_CHANNELS
from ....models.sdatc.dcm import Dcm
from ....models.sdatc.denoiser import SdatcDenoiser
from ....models.sdatc.vae import SdatcVae
from ...color_fix import fix_color
from ...config import RecurrentConfig
from ...diffusion.tiles import Tiling
from ...motion.clip_motion import ClipMotion
from ...restorer import PromptedFrame
from ...text.open_clip_h import encode
from ...tiles import Check
from ...windows import Window, WindowPlan
from ..carrying_shot import ClipShot, blended
from ..dcm import DcmRestorer
from ..mgld.motion import clip_motion
from ..parts import Parts
from ..precision import in_single_precision
from ..system_restorer import SystemRestorer
from .canvas import LATENT, Canvas, enlarge
from .codec import Codec
from .config import SdatcConfig
from .memory import LEAST_TILE, LEAST_VAE_TILE, Fitting, fit
from .sampling import Clip, ClipSampler


class SdatcRestorer(SystemRestorer[SdatcConfig]):
    """Streams clips through SDATC.

    Args:
        parts: the networks, see ``part_names`` and ``load_sdatc_parts``, which takes trained ones only.
        config: how it is run.
        memory: bytes that may be used beside the weights.
    """

    title = "SDATC"
    part_names = ("dcm", "text", "flow", "vae", "denoiser")
    """The networks by name: a ``Dcm``, an ``OpenClipText``, a ``FlowNet``, a ``SdatcVae``, a ``SdatcDenoiser``."""

    def __init__(self, parts: Parts, config: SdatcConfig, memory: int) -> None:
        super().__init__(parts, config, memory, encode)

    def plan(self, height: int, width: int) -> WindowPlan:
        """Windows as configured; tiles of the denoiser, of the autoencoder and of the DCM."""
        canvas = Canvas.of((height, width))
        fitting = self.fitting(canvas)
        sides = [canvas.input_side(side) for side in (fitting.tile, fitting.vae_tile)]
        sides += self._cleaner().plan(height, width).tiles
        return WindowPlan(self.config.window - self.config.overlap, self.config.overlap, tuple(sides))

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> "SdatcShot":
        """Start a shot; the plan's tiles are those of ``plan``."""
        return SdatcShot(self, Canvas.of((height, width)), plan)

    def fitting(self, canvas: Canvas) -> Fitting:
        """What fits the memory, see ``memory.fit``."""
        return fit(canvas, self.config, self.memory, self.parts.dtype)

    def clean(self, images: Sequence[Tensor], plan: WindowPlan, check: Check) -> Tensor:
        """What the DCM makes of frames (3,h,w) in [0,1], (T,3,4h,4w) in [0,1], CPU."""
        restorer = self._cleaner()
        window = Window(0, tuple(PromptedFrame(image.float()) for image in images), len(images), last=True)
        tiles = WindowPlan(len(images), 0, plan.tiles[-1:])
        shot = restorer.open_shot(images[0].shape[-2], images[0].shape[-1], tiles)
        return torch.stack(list(shot.restore(window, check))).clamp(0, 1)

    def tokens(self, prompts: Sequence[str]) -> Tensor:
        """What the denoiser reads of each frame's prompt, (T,77,D); computed once for each."""
        prompts = prompts if self.config.captions else [""] * len(prompts)
        return torch.stack(self._texts.tokens(prompts))

    def _cleaner(self) -> DcmRestorer:
        network = in_single_precision(cast("Dcm", self.parts.use("dcm")[0]))
        return DcmRestorer(network, RecurrentConfig(), self.parts.device, self.memory)


@dataclass(frozen=True)
class _Pictures:
    """n frames on the canvas, (n,3,*padded) in [-1,1], CPU: what the DCM made of them, and those enlarged plainly."""

    dcm: Tensor
    input: Tensor

    def of(self, which: str) -> Tensor:
        return self.dcm if which == "dcm" else self.input


class SdatcShot(ClipShot):
    """One shot: the latents that the next window begins with, and the frames that its decoder looks back at."""

    def __init__(self, restorer: SdatcRestorer, canvas: Canvas, plan: WindowPlan) -> None:
        self._restorer, self._config, self._parts = restorer, restorer.config, restorer.parts
        length = min(plan.length + plan.look_ahead, self._config.window)
        super().__init__(self._config, length, canvas.frame, (LATENT_CHANNELS, *canvas.grid))
        self._canvas, self._plan = canvas, plan
        tile, vae_tile, _ = plan.tiles
        self._tile = canvas.tile_side(tile, min(self._config.tile or LEAST_TILE, LEAST_TILE))
        self._vae_tile = canvas.tile_side(vae_tile, LEAST_VAE_TILE)

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the next window's kept frames; see ``Shot.restore``. Peak memory: a window's enlarged frames."""
        images = [*self._carried["images"], *(item.image for item in window.items)]
        pictures = self._pictures(images, check)
        latents = self._latents(window, pictures, check)
        frames = self._decode(window, latents, pictures, check)
        self._remember(window, latents)
        for item, frame in zip(window.items, frames, strict=False):
            check()
            yield fix_color(self._canvas.finish(frame), item.image, self._config.color_fix)

    def _pictures(self, images: Sequence[Tensor], check: Check) -> _Pictures:
        """Of the frames that the decoder looks back at and of those of the window."""
        cleaned = self._canvas.prepare(self._restorer.clean(images, self._plan, check))
        if "input" not in (self._config.features, self._config.flow_frames):
            return _Pictures(cleaned, cleaned)
        return _Pictures(cleaned, self._canvas.prepare(enlarge(torch.stack([x.float() for x in images]))))

    def _latents(self, window: Window[PromptedFrame], pictures: _Pictures, check: Check) -> Tensor:
        """Of all frames of the window, (n,4,h,w) CPU: sampled, the first ones joined with what is known of them."""
        count, known = len(window.items), self._carried["ahead"]
        if count <= len(known):
            return known[:count]
        sampled = self._sample(window, pictures, check)[:count].cpu()
        return sampled if self._config.joint == "fixed" else blended(sampled, known, self._config.curve)

    def _sample(self, window: Window[PromptedFrame], pictures: _Pictures, check: Check) -> Tensor:
        """(``length``,4,h,w), the last ones of a window that is too short of frames that fill it up."""
        config, device, count = self._config, self._parts.device, len(window.items)
        order = self._order(count)
        text = self._restorer.tokens([window.items[i].prompt for i in order])
        check()
        motion = self._motion(pictures.of(config.flow_frames)[-count:][order], check)
        numbers = range(window.start, window.start + len(order))
        noise = config.noise.of_clip(numbers, (LATENT_CHANNELS, *self._canvas.grid), device)
        condition = self._codec(check).encode(pictures.dcm[-count:])[order].to(device)
        side = self._tile // LATENT
        tiling, at_once = Tiling(side, side // 2), self._restorer.fitting(self._canvas).at_once
        denoiser = cast("SdatcDenoiser", self._parts.use("denoiser")[0])
        sampler = ClipSampler(denoiser, tiling, at_once, config, check, self._restorer.tell_step)
        known = self._carried["ahead"] if config.joint == "fixed" else self._carried["ahead"][:0]
        return sampler.sample(Clip(condition, text.to(device, self._parts.dtype), motion, noise, known))

    def _motion(self, frames: Tensor, check: Check) -> ClipMotion | None:
        if self._config.guidance is None or len(frames) < 2:
            return None
        (flow,) = self._parts.use("flow")
        return clip_motion(flow, frames, self._parts.device, False, check)

    def _decode(self, window: Window[PromptedFrame], latents: Tensor, pictures: _Pictures, check: Check) -> Tensor:
        """The window's kept frames, (kept,3,*padded), about [-1,1], CPU; frames beside them are decoded along."""
        clip = self._seen(window, latents)
        order = self._order(len(clip))
        frames = pictures.of(self._config.features)[order]
        moved = clip[order].to(self._parts.device)
        decoded = self._codec(check).decode(moved, frames, self._config.fidelity)
        return decoded[len(self._carried["latents"]) :][: window.kept]

    def _codec(self, check: Check) -> Codec:
        return Codec(in_single_precision(cast("SdatcVae", self._parts.use("vae")[0])), self._vae_tile, check)
