"""The host's VAEs as autoencoders of the core: their framing, their memory, their tiles."""

from collections.abc import Callable, Sequence
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.temporal_ae import VideoDecoder
from torch import Tensor

from ...core.codec import frame_length
from ...core.config import LEAST_VAE_TILE, VAE_CHUNK, VAE_PIXEL_BYTES, VAE_TILE, VAE_VIDEO_CHUNK
from ...core.errors import SettingError

_MEMORY_SHARE = 0.7
_CAUSAL_CONTEXT, _CONTEXT = 8, 4
"""Latents around a chunk that are made again: of VAEs for video, and of decoders that look at neighbouring frames.

What a chunk's beginning leaves in its frames shrinks about four times from two latents to the next two, of Wan's
architecture without training: 7 % of a frame's deviation after 4 latents, 3, 0.7 and 0.1 % after 6, 8 and 10. A
cross-fade within the context made it worse.
"""


class HostCodec:
    """A VAE of the host; see ``core.codec.Codec``.

    Three kinds are told apart: each frame by itself (Stable Diffusion); a decoder that looks at its neighbours (Stable
    Video Diffusion); and causal ones with one latent for several frames (Wan, Hunyuan, LTX, Cosmos, Mochi).

    Args:
        vae: the host's object.
        tile: side of a tile in pixels; 0 uses tiles only where memory asks for them.

    Raises:
        SettingError: it is no VAE of pictures, or the tile is too small.
    """

    def __init__(self, vae: Any, tile: int = 0) -> None:
        vae.throw_exception_if_invalid()
        if vae.latent_dim not in (2, 3):
            raise SettingError("Expected a VAE for pictures or video, got one for something else; load another one.")
        if tile and tile < LEAST_VAE_TILE:
            raise SettingError(f"Expected tiles of at least {LEAST_VAE_TILE} pixels, got {tile}; 0 is automatic.")
        self._vae, self._tile = vae, tile
        self.video = vae.latent_dim == 3 and not vae.not_video
        self.ratio = (vae.temporal_compression_decode() or 1) if self.video else 1
        self.encode_context, self.decode_context = 0, (0, 0)
        decoder = getattr(vae.first_stage_model, "decoder", None)
        if self.video:
            self.encode_context = _CAUSAL_CONTEXT
            after = 0 if getattr(decoder, "causal", True) else _CONTEXT  # LTX's is not
            self.decode_context = (_CAUSAL_CONTEXT, after)
        elif isinstance(decoder, VideoDecoder):
            self.decode_context = (_CONTEXT, _CONTEXT)

    def factor(self) -> int:
        """Pixels a latent pixel when encoding."""
        return int(self._vae.spacial_compression_encode())

    def encode(self, frames: Tensor) -> Tensor:
        """(ratio*(n-1)+1,3,H,W) -> (n,C,h,w)."""
        pixels = frames.permute(0, 2, 3, 1)  # (T,C,H,W) -> (T,H,W,C)
        if self._tiled(*frames.shape[-2:]):
            tile = self._tile
            return self.frames_first(self._vae.encode_tiled(pixels, tile_x=tile, tile_y=tile, overlap=tile // 4))
        return self.frames_first(self._vae.encode(pixels))

    def decode(self, latents: Tensor) -> Tensor:
        """(n,C,h,w) -> (ratio*(n-1)+1,3,H,W)."""
        samples, up = self.samples(latents), int(self._vae.spacial_compression_decode())
        if self._tiled(latents.shape[-2] * up, latents.shape[-1] * up):
            tile = self._tile // up
            pixels = self._vae.decode_tiled(samples, tile_x=tile, tile_y=tile, overlap=tile // 4)
        else:
            pixels = self._vae.decode(samples)
        return pixels.flatten(0, -4)[..., :3].permute(0, 3, 1, 2)  # (B,T,H,W,C) or (T,H,W,C) -> (T,C,H,W)

    def samples(self, latents: Tensor) -> Tensor:
        """(n,C,h,w) -> the shape in which the host keeps them: (n,C,h,w), (1,C,n,h,w) or (n,C,1,h,w)."""
        if self._vae.latent_dim == 2:
            return latents
        return latents.movedim(0, 1)[None] if self.video else latents[:, :, None]

    def frames_first(self, samples: Tensor) -> Tensor:
        """The way back from ``samples``.

        Raises:
            SettingError: these are several videos, or latents of another kind of VAE.
        """
        channels = self._vae.latent_channels
        if samples.ndim not in (4, 5) or samples.shape[1] != channels:
            raise SettingError(
                f"Expected latents of {channels} channels for this VAE, got {tuple(samples.shape)}; load the VAE of "
                "the model that made them."
            )
        if samples.ndim == 4:
            return samples
        if samples.shape[2] == 1 and not self.video:
            return samples[:, :, 0]
        if samples.shape[0] != 1:
            raise SettingError(f"Expected the latents of one video, got {samples.shape[0]}; decode them one by one.")
        return samples[0].movedim(1, 0)  # (1,C,T,h,w) -> (T,C,h,w)

    def encode_length(self, height: int, width: int) -> int:
        """Latents that may be made together; where they are few, the context becomes less."""
        count = self._plan(self._vae.memory_used_encode, (height, width), 1)
        self.encode_context = min(self.encode_context, count // 2)
        return count - self.encode_context

    def decode_length(self, height: int, width: int) -> int:
        """Latents that may be decoded together; where they are few, the context becomes less."""
        up = int(self._vae.spacial_compression_decode())
        count = self._plan(self._vae.memory_used_decode, (height * up, width * up), up)
        before, after = self.decode_context
        share = min(1.0, count / max(2 * (before + after), 1))
        self.decode_context = (int(before * share), int(after * share))
        return count - sum(self.decode_context)

    def shrink(self) -> bool:
        """Halve the tiles, or begin to use some."""
        smaller = self._tile // 2 if self._tile else VAE_TILE
        if smaller < LEAST_VAE_TILE:
            return False
        self._tile = smaller
        comfy.model_management.soft_empty_cache()
        return True

    def _tiled(self, height: int, width: int) -> bool:
        return 0 < self._tile < max(height, width)

    def _plan(self, estimate: Callable[[Sequence[int], torch.dtype], float], size: tuple[int, int], up: int) -> int:
        """Latents together, context included; tiles are taken if less than the context and as many would fit whole.

        Args:
            estimate: the host's own, of bytes.
            size: height and width of a frame in pixels.
            up: pixels a unit of what ``estimate`` is given: 1 when it is given frames, more when latents.
        """
        manager, vae = comfy.model_management, self._vae
        most = VAE_VIDEO_CHUNK if self.video else VAE_CHUNK
        most = max(min(VAE_PIXEL_BYTES // (12 * size[0] * size[1] * self.ratio), most), 1)
        enough = min(2 * max(self.encode_context, sum(self.decode_context)) or 1, most)

        def needed(count: int) -> float:
            side = [min(self._tile or length, length) // up for length in size]
            if self.video:
                return float(
                    estimate((1, 1, count if up > 1 else frame_length(count, self.ratio), *side), vae.vae_dtype)
                )
            shape = (1, 1, *side) if vae.latent_dim == 2 else (1, 1, 1, *side)
            return float(estimate(shape, vae.vae_dtype)) * (1 if self._tiled(*size) else count)

        manager.load_models_gpu([vae.patcher], memory_required=needed(enough), force_full_load=vae.disable_offload)
        free = manager.get_free_memory(vae.device) * _MEMORY_SHARE
        while needed(enough) > free and self.shrink():
            pass
        while most > 1 and needed(most) > free:
            most -= 1
        return most
