"""The bridge to the host's own VAEs, in this process: chunks, context, tiles, memory."""

import importlib
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from textovsr.core.codec import decode_latents, encode_frames
from textovsr.tests.helpers.diffusion import fill


def never() -> None:
    """Nobody cancels."""


@pytest.fixture(scope="module")
def wan(pack: ModuleType) -> Any:
    """A small random VAE of Wan 2.1's architecture, in the host's object.

    What a frame takes from those before it is made small, as training does: of an untrained one each layer turns all
    that follows into something else, so that no context is ever enough.
    """
    import comfy.sd
    from comfy.ldm.wan.vae import WanVAE

    weights = fill(WanVAE(dim=8, z_dim=16, temperal_downsample=[False, True, True]), seed=0).state_dict()
    for name, value in weights.items():
        if name.endswith("gamma"):
            value.fill_(1)
        if name.endswith("residual.6.weight"):
            value.mul_(0.3)
        if value.ndim == 5 and value.shape[2] == 3:
            value[:, :, :2] *= 0.3
    return comfy.sd.VAE(sd=weights)


@pytest.fixture(scope="module")
def make(pack: ModuleType) -> Callable[..., Any]:
    """HostCodec, the bridge to a VAE of the host."""
    return importlib.import_module(f"{pack.__name__}.nodes.host.vae").HostCodec


def footage(frames: int, side: int) -> Tensor:
    """Frames (T,3,side,side) that change slowly, with some noise."""
    generator = torch.Generator().manual_seed(frames)
    slow = torch.nn.functional.interpolate(
        torch.rand(1, 3, 6, 6, 6, generator=generator), size=(frames, side, side), mode="trilinear"
    )
    return (slow[0].movedim(1, 0) + 0.1 * torch.rand(frames, 3, side, side, generator=generator)).clamp(0, 1)


@torch.inference_mode()
def test_chunks_through_a_vae_of_pictures_are_the_host_s_own_result(taesd: Any, make: Callable[..., Any]) -> None:
    frames = footage(21, 32)
    codec = make(taesd)
    codec.encode_length = codec.decode_length = lambda height, width: 4
    latents = torch.cat(list(encode_frames(frames, codec, never)))
    whole = taesd.encode(frames.movedim(1, -1))
    torch.testing.assert_close(latents, whole, rtol=0, atol=1e-5)
    pictures = torch.stack(list(decode_latents(latents, codec, never)))
    torch.testing.assert_close(pictures, taesd.decode(whole).movedim(-1, 1), rtol=0, atol=1e-5)
    assert pictures.std() > 0.01  # not one flat colour


@torch.inference_mode()
def test_a_video_vae_in_chunks_is_close_to_the_whole(wan: Any, make: Callable[..., Any]) -> None:
    """With the context as it is, and far from it with less."""
    frames = footage(81, 16)
    whole = wan.encode(frames.movedim(1, -1))
    pictures = wan.decode(whole)[0].movedim(-1, 1)
    assert whole.shape == (1, 16, 21, 2, 2)

    def errors(context: int) -> tuple[float, float]:
        codec = make(wan)
        codec.encode_length = codec.decode_length = lambda height, width: 5
        if context:
            codec.encode_context, codec.decode_context = context, (context, 0)
        latents = torch.cat(list(encode_frames(frames, codec, never)))
        decoded = torch.stack(list(decode_latents(codec.frames_first(whole), codec, never)))
        assert codec.samples(latents).shape == whole.shape
        assert decoded.shape == pictures.shape
        return (
            float((codec.samples(latents) - whole).abs().mean() / whole.std()),
            float((decoded - pictures).abs().mean() / pictures.std()),
        )

    near, far = errors(0), errors(1)
    assert max(near) < 0.02
    assert min(far) > 0.1


@torch.inference_mode()
def test_a_video_vae_takes_all_frames_and_repeats_the_last(wan: Any, make: Callable[..., Any]) -> None:
    frames = footage(7, 16)
    codec = make(wan)
    latents = torch.cat(list(encode_frames(frames, codec, never)))
    padded = torch.cat([frames, frames[-1:], frames[-1:]])
    torch.testing.assert_close(codec.samples(latents), wan.encode(padded.movedim(1, -1)), rtol=0, atol=1e-6)


def test_each_kind_of_vae_gets_the_context_it_sees(taesd: Any, wan: Any, make: Callable[..., Any]) -> None:
    """Stable Video Diffusion's decoder looks both ways from frame to frame, LTX's from latent to latent."""
    from comfy.ldm.modules.temporal_ae import VideoDecoder

    def fake(dimensions: int, decoder: object, not_video: bool = False) -> SimpleNamespace:
        return SimpleNamespace(
            throw_exception_if_invalid=never,
            latent_dim=dimensions,
            not_video=not_video,
            temporal_compression_decode=lambda: 8,
            first_stage_model=SimpleNamespace(decoder=decoder),
        )

    def seen(vae: Any) -> tuple[int, int, tuple[int, int]]:
        codec = make(vae)
        return codec.ratio, codec.encode_context, codec.decode_context

    assert seen(taesd) == (1, 0, (0, 0))
    assert seen(wan) == (4, 8, (8, 0))
    assert seen(fake(2, VideoDecoder.__new__(VideoDecoder))) == (1, 0, (4, 4))
    assert seen(fake(3, SimpleNamespace(causal=False))) == (8, 8, (8, 4))
    assert seen(fake(3, SimpleNamespace(), not_video=True)) == (1, 0, (0, 0))
    with pytest.raises(Exception, match="VAE for pictures"):
        make(fake(1, None))


def test_latents_of_another_vae_are_refused(taesd: Any, wan: Any, make: Callable[..., Any]) -> None:
    with pytest.raises(Exception, match="16 channels"):
        make(wan).frames_first(torch.zeros(3, 4, 2, 2))
    with pytest.raises(Exception, match="4 channels"):
        make(taesd).frames_first(torch.zeros(1, 16, 3, 2, 2))
    with pytest.raises(Exception, match="one video"):
        make(wan).frames_first(torch.zeros(2, 16, 3, 2, 2))


@torch.inference_mode()
def test_tiles_are_taken_when_asked_for_or_when_memory_asks_for_them(
    taesd: Any, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import comfy.model_management

    frames = footage(1, 160)
    used: list[int] = []
    tiled = taesd.encode_tiled

    def encode_tiled(pixels: Tensor, **options: int) -> Tensor:
        used.append(options["tile_x"])
        return tiled(pixels, **options)

    monkeypatch.setattr(taesd, "encode_tiled", encode_tiled)
    whole = make(taesd).encode(frames)
    assert not used
    found = make(taesd, tile=128).encode(frames)
    assert used == [128]
    assert (found - whole).abs().mean() < 0.2 * whole.std()
    codec = make(taesd)
    needed = taesd.memory_used_encode((1, 3, 128, 128), taesd.vae_dtype)
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device: 2 * needed)
    codec.encode_length(160, 160)
    codec.encode(frames)
    assert used == [128, 128]
    with pytest.raises(Exception, match="at least 128"):
        make(taesd, tile=64)


def test_fewer_go_together_where_memory_is_short(
    wan: Any, taesd: Any, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import comfy.model_management

    assert make(taesd).encode_length(64, 64) == 16
    assert make(wan).decode_length(8, 8) == 32 - 8
    large = make(wan)
    assert large.encode_length(2160, 3840) == 3  # of the 5 whose frames 2 GB hold
    assert large.encode_context == 2
    needed = taesd.memory_used_decode((1, 4, 8, 8), taesd.vae_dtype)
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device: 5 * needed)
    assert make(taesd).decode_length(8, 8) == 3
