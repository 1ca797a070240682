"""SplitWindows and ILTStitch on a real ComfyUI's canvas, which maps what is between them over the windows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.clips import Clip, read_number, write_clip
from textovsr.tools.comfy_client import PromptResult
from textovsr.tools.comfy_server import ComfyServer

SETTINGS = {"length": 8, "overlap": 4}
UNEVEN = [2 * t + t % 2 for t in range(21)]


def queue(*nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A prompt whose nodes are numbered from 1."""
    return {str(number): {"class_type": kind, "inputs": inputs} for number, (kind, inputs) in enumerate(nodes, 1)}


def test_a_canvas_maps_a_core_node_over_the_windows(
    server: ComfyServer, tmp_path: Path, put_input: Callable[[Path], str], run_prompt: Callable[..., PromptResult]
) -> None:
    samples = torch.randn(21, 4, 4, 4)
    save_file({"latent_tensor": samples, "latent_format_version_0": torch.tensor([])}, tmp_path / "w.latent")
    prompt = queue(
        ("LoadLatent", {"latent": put_input(tmp_path / "w.latent")}),
        ("OVSR_SplitWindows", {"whole": ["1", 0], **SETTINGS}),
        ("LatentMultiply", {"samples": ["2", 0], "multiplier": 2.0}),
        ("OVSR_ILTStitch", {"windows": ["3", 0], "curve": "code"}),
        ("SaveLatent", {"samples": ["4", 0], "filename_prefix": "windows/w"}),
        ("PreviewAny", {"source": ["2", 2]}),
        ("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 21}),
        ("OVSR_SplitWindows", {"whole": ["7", 0], **SETTINGS}),
        ("OVSR_ILTStitch", {"windows": ["8", 0], "curve": "cosine", "overlap": 4, "start": ["8", 1]}),
        ("SaveLatent", {"samples": ["9", 0], "filename_prefix": "windows/empty"}),
    )
    result = run_prompt(prompt)
    assert result.outputs["6"]["text"] == ["5"]
    saved = {name: load_file(server.base / "output" / "windows" / f"{name}_00001_.latent") for name in ("w", "empty")}
    assert torch.equal(saved["w"]["latent_tensor"], 2 * samples)
    assert saved["empty"]["latent_tensor"].shape == (21, 4, 8, 8)


def test_a_canvas_maps_over_windows_of_a_video(
    tmp_path: Path, put_input: Callable[[Path], str], run_prompt: Callable[..., PromptResult]
) -> None:
    path = write_clip(tmp_path / "uneven.mkv", Clip(pts=[t * t for t in range(21)], width=64, height=48))
    prompt = queue(
        ("OVSR_LoadVideo", {"file": put_input(path)}),
        ("OVSR_SplitWindows", {"whole": ["1", 0], **SETTINGS}),
        ("GetVideoComponents", {"video": ["2", 0]}),
        ("ImageScaleBy", {"image": ["3", 0], "upscale_method": "area", "scale_by": 2.0}),
        ("OVSR_ILTStitch", {"windows": ["4", 0], "curve": "paper", "start": ["2", 1]}),
        ("GetImageSize", {"image": ["5", 0]}),
        *(("PreviewAny", {"source": ["6", number]}) for number in range(3)),
    )
    result = run_prompt(prompt)
    assert [result.outputs[str(number)]["text"] for number in (7, 8, 9)] == [["128"], ["96"], ["21"]]


def test_windows_of_a_video_are_stitched_into_a_file(
    server: ComfyServer, tmp_path: Path, put_input: Callable[[Path], str], run_prompt: Callable[..., PromptResult]
) -> None:
    """With the video that was split, times and sound are its own; without, the frames are all there still."""
    path = write_clip(tmp_path / "sounding.mp4", Clip(pts=UNEVEN, audio="aac", width=64, height=48))
    prompt = queue(
        ("OVSR_LoadVideo", {"file": put_input(path)}),
        ("OVSR_SplitWindows", {"whole": ["1", 0], "length": 6, "overlap": 3}),
        ("OVSR_ILTStitch", {"windows": ["2", 0], "curve": "code", "start": ["2", 1], "source": ["1", 0]}),
        ("OVSR_SaveVideo", {"video": ["3", 0], "filename_prefix": "windows/with"}),
        ("OVSR_ILTStitch", {"windows": ["2", 0], "curve": "cut", "start": ["2", 1]}),
        ("SaveVideo", {"video": ["5", 0], "filename_prefix": "windows/without", "format": "mp4", "codec": "auto"}),
    )
    result = run_prompt(prompt)
    assert result.progress("3")[-1] == (21, 21)
    for name, has_sound in (("with", True), ("without", False)):
        (found,) = (server.base / "output" / "windows").glob(f"{name}_*.mp4")
        with VideoReader(path) as given, VideoReader(found) as made:
            assert [read_number(frame.image) for frame in made] == list(range(21))
            seconds = [[tick * reader.info.time_base for tick in reader.times()] for reader in (given, made)]
            assert (seconds[0] == seconds[1]) == has_sound
            assert bool(made.info.audio) == has_sound
