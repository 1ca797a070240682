"""EncodeVideo and DecodeVideo with the host's own VAEs: in this process, and as a graph in a real ComfyUI."""

import importlib
import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from textovsr.core.codec import decode_latents, encode_frames
from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.cli import make_video
from textovsr.tests.helpers.clips import Clip, write_clip
from textovsr.tests.helpers.diffusion import CONDITIONING, fill, save_checkpoint, save_vae, vae
from textovsr.tests.helpers.frames import decoded, packets
from textovsr.tools.comfy_client import ComfyClient, Event, PromptResult, node_progress
from textovsr.tools.comfy_server import ComfyServer

Prompt = dict[str, Any]

TIMES = (0, 1, 2, 4, 5, 9, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21, 22, 23, 24)
"""Of 19 frames, in 25ths of a second."""

BUSY = Clip(width=50, height=38, pts=TIMES, codec="ffv1", pix_fmt="yuv444p", audio="flac", subtitles="subrip")
"""Odd for a VAE, at uneven times, with a sound and subtitles."""


def never() -> None:
    """Nobody cancels."""


@pytest.fixture(scope="module")
def taesd(pack: ModuleType) -> Any:
    """A random VAE for pictures, in the host's object."""
    return vae(seed=3)


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


def journey(file: str, name: str, source: bool = True, **result: Any) -> Prompt:
    """LoadVideo -> EncodeVideo -> DecodeVideo -> SaveVideo."""
    prompt: Prompt = {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": file}},
        "2": {"class_type": "VAELoader", "inputs": {"vae_name": name}},
        "3": {"class_type": "OVSR_EncodeVideo", "inputs": {"video": ["1", 0], "vae": ["2", 0]}},
        "4": {"class_type": "OVSR_DecodeVideo", "inputs": {"samples": ["3", 0], "vae": ["2", 0], **result}},
        "5": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["4", 0], "filename_prefix": "t/decoded"}},
    }
    if source:
        prompt["4"]["inputs"]["source"] = ["1", 0]
    return prompt


@pytest.fixture
def tiny(host: ModuleType, server: ComfyServer) -> str:
    """A random TAESD in the server's models."""
    return save_vae(server.base / "models" / "vae", seed=3)


@pytest.fixture
def busy(tmp_path: Path, put_input: Callable[[Path], str]) -> str:
    return put_input(write_clip(tmp_path / "busy.mkv", BUSY))


@pytest.fixture
def saved(server: ComfyServer, run_prompt: Callable[..., PromptResult]) -> Callable[[Prompt], Path]:
    """Run a prompt and return the one file it wrote."""

    def run(prompt: Prompt) -> Path:
        (file,) = run_prompt(prompt).files()
        return server.base / file["type"] / file["subfolder"] / file["filename"]

    return run


@torch.inference_mode()
def test_times_sound_and_pictures_make_the_whole_journey(
    busy: str, tiny: str, taesd: Any, server: ComfyServer, saved: Callable[[Prompt], Path]
) -> None:
    path = saved(journey(busy, tiny, codec="ffv1"))
    with VideoReader(server.base / "input" / busy) as reader:
        before = list(reader)
    with VideoReader(path) as reader:
        after = list(reader)
        assert (reader.info.width, reader.info.height) == (50, 38)
        seconds = [float(frame.pts * reader.info.time_base) for frame in after]
        assert reader.info.subtitles
    assert seconds == pytest.approx([time / 25 for time in TIMES], abs=6e-4)  # Matroska's milliseconds
    assert packets(path, "audio") == packets(server.base / "input" / busy, "audio")
    pixels = torch.stack([frame.image for frame in before])
    padded = torch.nn.functional.pad(pixels, (0, 6, 0, 2), mode="reflect")
    expected = taesd.decode(taesd.encode(padded.movedim(1, -1))).movedim(-1, 1)[..., :38, :50]
    found = torch.stack([frame.image for frame in after])
    assert (found - expected).abs().max() < 0.02  # 8 bits of YUV


def test_latents_on_the_disk_change_nothing_and_leave_nothing(
    busy: str, tiny: str, server: ComfyServer, saved: Callable[[Prompt], Path]
) -> None:
    held = journey(busy, tiny, codec="ffv1", color_fix="wavelet")
    spilled = journey(busy, tiny, codec="ffv1", color_fix="wavelet")
    spilled["3"]["inputs"]["latent_memory"] = 0
    assert decoded(saved(held)) == decoded(saved(spilled))
    assert not [path for path in (server.base / "temp").rglob("*") if "latents" in path.name]


def test_the_colour_fix_brings_the_source_s_colours(
    busy: str, tiny: str, server: ComfyServer, saved: Callable[[Prompt], Path]
) -> None:
    def means(path: Path) -> Tensor:
        with VideoReader(path) as reader:
            return torch.stack([frame.image.mean(dim=(1, 2)) for frame in reader])

    source = means(server.base / "input" / busy)
    plain, fixed = (means(saved(journey(busy, tiny, codec="ffv1", color_fix=fix))) for fix in ("none", "adain"))
    assert (fixed - source).abs().max() < 0.15 < (plain - source).abs().max()


def test_images_and_no_source_make_a_video_of_a_constant_rate(
    busy: str, tiny: str, saved: Callable[[Prompt], Path]
) -> None:
    prompt = journey(busy, tiny, source=False, fps=29.97)
    prompt["6"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}}
    prompt["3"]["inputs"]["video"] = ["6", 0]
    path = saved(prompt)
    with VideoReader(path) as reader:
        assert reader.info.frame_rate == Fraction(30000, 1001)
        assert (reader.info.width, reader.info.height) == (50, 38)
        assert [frame.pts * reader.info.time_base for frame in reader] == [
            Fraction(1001, 30000) * index for index in range(len(TIMES))
        ]
        assert not reader.info.audio


def test_latents_that_were_enlarged_are_cropped_alike(busy: str, tiny: str, saved: Callable[[Prompt], Path]) -> None:
    prompt = journey(busy, tiny)
    prompt["6"] = {
        "class_type": "LatentUpscaleBy",
        "inputs": {"samples": ["3", 0], "upscale_method": "nearest-exact", "scale_by": 2.0},
    }
    prompt["4"]["inputs"]["samples"] = ["6", 0]
    with VideoReader(saved(prompt)) as reader:
        assert (reader.info.width, reader.info.height) == (100, 76)
        assert sum(1 for _ in reader) == len(TIMES)


def test_a_sampler_of_the_host_in_between_passes_on_what_is_known(
    host: ModuleType,
    tmp_path: Path,
    put_input: Callable[[Path], str],
    server: ComfyServer,
    saved: Callable[[Prompt], Path],
) -> None:
    """With a random checkpoint as a whole: its denoiser, and the VAE in it."""
    name = save_checkpoint(server.base / "models" / "checkpoints")
    clip = put_input(make_video(tmp_path / "few.mp4", (34, 30)))
    prompt = journey(clip, "")
    prompt["2"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": name}}
    texts = {"positive": ["7", 0], "negative": ["8", 0]}
    steps = {"seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 0.3}
    prompt["6"] = {"class_type": "KSampler", "inputs": {"model": ["2", 0], "latent_image": ["3", 0], **texts, **steps}}
    for node, seed in (("7", 1), ("8", 2)):
        prompt[node] = {"class_type": CONDITIONING, "inputs": {"seed": seed, "width": 768}}
    prompt["3"]["inputs"]["vae"] = prompt["4"]["inputs"]["vae"] = ["2", 2]
    prompt["4"]["inputs"]["samples"] = ["6", 0]
    path = saved(prompt)
    assert packets(path, "audio") == packets(server.base / "input" / clip, "audio")
    with VideoReader(path) as reader:
        assert (reader.info.width, reader.info.height, len(list(reader))) == (34, 30, 5)


def test_a_source_with_another_number_of_frames_is_refused(
    busy: str, tiny: str, client: ComfyClient, tmp_path: Path, put_input: Callable[[Path], str]
) -> None:
    other = put_input(make_video(tmp_path / "other.mp4", (64, 48), frames=7))
    prompt = journey(busy, tiny, source=False)
    prompt["6"] = {"class_type": "OVSR_LoadVideo", "inputs": {"file": other}}
    prompt["4"]["inputs"]["source"] = ["6", 0]
    result = client.run(prompt)
    assert result.status == "error"
    assert "a source of 19 frames" in str(result.error)
    assert "with 7" in str(result.error)


def test_a_colour_fix_needs_a_source(busy: str, tiny: str, client: ComfyClient) -> None:
    result = client.run(journey(busy, tiny, source=False, color_fix="adain"))
    assert "a source to fix colours by" in str(result.error)


@pytest.mark.parametrize("node", ["3", "4"])
def test_cancelling_stops_within_a_chunk_and_leaves_nothing(
    tiny: str, node: str, server: ComfyServer, client: ComfyClient, tmp_path: Path, put_input: Callable[[Path], str]
) -> None:
    asked = itertools.count()
    done: list[float] = []

    def cancel(event: Event) -> None:
        for name, value, _ in node_progress(event):
            if name == node and value:
                done.append(value)
                if next(asked) == 0:
                    client.interrupt()

    folder = server.base / "temp" / "textovsr"
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    long = put_input(make_video(tmp_path / f"long{node}.mp4", (32, 32), frames=96))
    result = client.run(journey(long, tiny), on_event=cancel)
    assert result.status == "interrupted"
    assert 0 < done[-1] < 96
    assert set(folder.iterdir()) == before
