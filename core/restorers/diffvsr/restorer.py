"""DiffVSR (ICCV 2025) as a streaming restorer.

Windows of eight frames overlap by four, where their latents are blended; all begin with the same noise. The decoder
sees the frames beside those that it makes. All noise is decided by the seed and a frame's number, so that work goes on
anywhere as if it had never stopped.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import cast

import torch
from torch import Tensor

from ....models.diffvsr.config import LATENT_CHANNELS
from ....models.diffvsr.vae import VAE
from ...overlaps import filled_order, with_context
from ...restorer import PromptedFrame, Shot
from ...text.open_clip_h import encode
from ...tiles import Check
from ...windows import Window, WindowPlan
from ..carrying_shot import CarryingShot, blended
from ..parts import Parts
from ..system_restorer import Embed, SystemRestorer
from .config import DiffVsrConfig
from .decode import CHUNK, decode_clip
from .memory import plan_tiles
from .sampling import Clip, ClipSampler, ShotNoise, add_frame_noise
from .tiles import CutShot, published_tiles


class DiffVsrRestorer(SystemRestorer[DiffVsrConfig]):
    """Streams clips through DiffVSR.

    Args:
        parts: the networks, see ``part_names`` and ``diffvsr_loading``.
        config: how it is run.
        memory: bytes that may be used beside the weights.
        embed: how prompts go through the text network.
        noise: makes the noise of a shot of frames of a size.
    """

    title = "DiffVSR"
    part_names = ("text", "denoiser", "vae")
    """The networks by name: an ``OpenClipText``, a ``diffvsr.UNet``, a ``diffvsr.VAE``."""

    def __init__(
        self,
        parts: Parts,
        config: DiffVsrConfig,
        memory: int,
        embed: Embed = encode,
        noise: Callable[[DiffVsrConfig, tuple[int, int]], ShotNoise] = ShotNoise,
    ) -> None:
        super().__init__(parts, config, memory, embed)
        self.noise = noise

    def plan(self, height: int, width: int) -> WindowPlan:
        """Windows as configured; tiles of the denoiser and of the decoder, see ``plan_tiles``."""
        config = self.config
        tiles = plan_tiles((height, width), config, self.memory, self.parts.dtype)
        return WindowPlan(config.window - config.overlap, config.overlap, tiles)

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> Shot:
        """Start a shot; the plan's tiles are those of ``plan``."""
        size, side = (height, width), plan.tiles[0]
        noise = self.noise(self.config, size)
        if self.config.tiling != "published" or not side or side >= max(size):
            return DiffVsrShot(self, noise, size, plan)
        tiles = published_tiles(size, side)
        whole = WindowPlan(plan.length, plan.look_ahead, (0, plan.tiles[1]))
        shots = [DiffVsrShot(self, noise.cut(tile.rows, tile.columns), tile.size, whole) for tile in tiles]
        return CutShot(shots, side, size)

    def texts(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """What the denoiser reads of each caption and of what is not wanted, (T,K,D) each; computed once for each."""
        config = self.config
        wanted = [f"{prompt.strip()} {config.suffix}".strip() for prompt in prompts]
        negative, *found = self._texts.tokens([config.negative, *wanted])
        positive = torch.stack(found)
        return positive, negative.expand_as(positive)


class DiffVsrShot(CarryingShot):
    """One shot: the latents that the next window is blended with, and those that its decoder looks back at."""

    def __init__(self, restorer: DiffVsrRestorer, noise: ShotNoise, size: tuple[int, int], plan: WindowPlan) -> None:
        latents = torch.zeros(0, LATENT_CHANNELS, *size)
        super().__init__(ahead=latents, before=latents, images=torch.zeros(0, 3, *size))
        self._restorer, self._config, self._parts = restorer, restorer.config, restorer.parts
        self._noise = noise
        self._plan = plan
        self._tile, self._decoder_tile = plan.tiles

    @torch.inference_mode()
    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """Yield the next window's kept frames; see ``Shot.restore``. Peak memory: what sampling or decoding needs."""
        kept = window.kept
        if self._config.end == "published":
            window = lengthened(window, self._carried["images"], self._plan, self._config.window)
        latents = self._latents(window, check)
        yield from islice(self._decode(window, latents, check), kept)
        self._keep("before", latents[: window.kept], self._config.context)
        self._keep_ahead(latents[window.kept :])
        if self._config.end == "published":
            images = torch.stack([item.image.float() for item in window.items[:kept]])
            self._keep("images", images, self._config.window - 1)

    def state(self) -> dict[str, Tensor]:
        """See ``Shot.state``: latents of the frames ahead, not blended, and of those that the decoder looks back at.

        With the published end also the frames that a shot would go back on.
        """
        return super().state()

    def _latents(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """Of all frames of the window, (n,4,h,w) CPU: sampled, the first ones blended with what is known of them."""
        count, known = len(window.items), self._carried["ahead"]
        if count <= len(known):
            return known[:count]
        return blended(self._sample(window, check)[:count], known, self._config.curve)

    def _sample(self, window: Window[PromptedFrame], check: Check) -> Tensor:
        """(n,4,h,w), the last ones of a window that is too short of frames that fill it up."""
        count = len(window.items)
        order = filled_order(count, max(self._plan.length + self._plan.look_ahead, count))
        numbers = range(window.start, window.start + len(order))
        device, dtype = self._parts.device, self._parts.dtype
        check()
        positive, negative = self._restorer.texts([window.items[i].prompt for i in order])
        frames = torch.stack([2.0 * window.items[i].image.float() - 1.0 for i in order], dim=1)  # (3,T,h,w)
        noisy = add_frame_noise(frames, self._noise.low_res(numbers), self._config.noise_level)
        noise = self._noise.latents(numbers)
        check()
        (denoiser,) = self._parts.use("denoiser")
        clip = Clip(noise.to(device), noisy.to(device), positive.to(device, dtype), negative.to(device, dtype))
        sampler = ClipSampler(denoiser, self._tile, self._config, check, self._restorer.tell_step)
        return sampler.sample(clip).transpose(0, 1).cpu().contiguous()

    def _decode(self, window: Window[PromptedFrame], latents: Tensor, check: Check) -> Iterator[Tensor]:
        """The window's kept frames, a chunk at a time, with the frames beside them."""
        check()
        vae = cast("VAE", self._parts.use("vae")[0])
        if self._config.decoder == "float32":
            vae = vae.float()
        before = len(self._carried["before"])
        clip = torch.cat([self._carried["before"], latents])
        kept = range(before, before + window.kept)
        for wanted, decoded in with_context(kept, len(clip), CHUNK, self._config.context):
            frames = decode_clip(vae, clip[decoded.start : decoded.stop], self._decoder_tile, check)
            yield from frames[wanted.start - decoded.start :][: len(wanted)]


def lengthened(window: Window[PromptedFrame], before: Tensor, plan: WindowPlan, multiple: int) -> Window[PromptedFrame]:
    """The window as it would be if the shot went back on its way until its length was a multiple of something.

    Args:
        window: one that does not see the end stays as it is.
        before: (n,3,h,w), the frames before it, which the shot goes back on too.
        plan: how windows are cut.
        multiple: of so many frames.
    """
    items = window.items
    stop = window.start + len(items)
    extra = min(window.start + plan.length + plan.look_ahead, -(-stop // multiple) * multiple) - stop
    if extra <= 0:
        return window
    seen = [*(PromptedFrame(image, items[0].prompt) for image in before), *items]
    order = filled_order(len(seen), len(seen) + extra)[len(seen) :]
    items = (*items, *(seen[index] for index in order))
    return replace(window, items=items, kept=min(len(items), plan.length))
