"""EncodeVideo and DecodeVideo as a graph in a real ComfyUI."""

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.cli import make_video
from textovsr.tests.helpers.clips import Clip, write_clip
from textovsr.tests.helpers.diffusion import CONDITIONING, save_checkpoint, save_vae
from textovsr.tests.helpers.frames import decoded, packets
from textovsr.tests.host.holding import held
from textovsr.tools.comfy_client import ComfyClient, Event, PromptResult, node_progress
from textovsr.tools.comfy_server import ComfyServer

Prompt = dict[str, Any]

TIMES = (0, 1, 2, 4, 5, 9, 10, 11, 12, 13, 14, 17, 18, 19, 20, 21, 22, 23, 24)
"""Of 19 frames, in 25ths of a second."""

BUSY = Clip(width=50, height=38, pts=TIMES, codec="ffv1", pix_fmt="yuv444p", audio="flac", subtitles="subrip")
"""Odd for a VAE, at uneven times, with a sound and subtitles."""


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
    result = client.run(held(journey(long, tiny), node, 1, tmp_path / "never"), on_event=cancel)
    assert result.status == "interrupted"
    assert 0 < done[-1] < 96
    assert set(folder.iterdir()) <= before, "results of others may go meanwhile"
