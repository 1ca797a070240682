"""Degrading in the real server: presets, outputs, what the cache does, refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textovsr.core.degrade.config import PRESETS
from textovsr.core.degrade.parameters import Degradation
from textovsr.core.degrade.video import PARAMETERS_TAG
from textovsr.core.video.probe import probe
from textovsr.tests.helpers.cli import make_video
from textovsr.tools.comfy_client import ComfyClient, PromptRejectedError, PromptResult
from textovsr.tools.comfy_server import ComfyServer

Prompt = dict[str, Any]


@pytest.fixture
def clip(tmp_path: Path, put_input: Callable[[Path], str]) -> str:
    """Five frames of 96x64 with sound, in the input folder."""
    return put_input(make_video(tmp_path / "good.mp4", (96, 64)))


def journey(file: str, preset: str, seed: int, **settings: Any) -> Prompt:
    """LoadVideo -> DegradeVideo -> SaveVideo, with both texts shown."""
    inputs = {"video": ["1", 0], "preset": preset, "seed": seed, **settings}
    return {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": file}},
        "2": {"class_type": "OVSR_DegradeVideo", "inputs": inputs},
        "3": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": "t/bad"}},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["2", 1]}},
        "5": {"class_type": "PreviewAny", "inputs": {"source": ["2", 2]}},
    }


def saved(server: ComfyServer, result: PromptResult) -> Path:
    """The one file a prompt wrote."""
    (file,) = result.files()
    return server.base / file["type"] / file["subfolder"] / file["filename"]


@pytest.mark.parametrize(("preset", "scale"), [("VHS", "1"), ("random", "1/4"), ("low-bitrate stream", "1/4")])
def test_video_text_and_parameters_come_out(
    clip: str, server: ComfyServer, run_prompt: Callable[..., PromptResult], preset: str, scale: str
) -> None:
    result = run_prompt(journey(clip, preset, 11, scale=scale, drift=0.4))
    path = saved(server, result)
    info = probe(path)
    assert (info.width, info.height) == ((96, 64) if scale == "1" else (24, 16))
    assert (info.frames, len(info.audio)) == (5, 1)
    degradation = Degradation.from_json(result.outputs["5"]["text"][0])
    assert result.outputs["4"]["text"][0] == degradation.text
    assert (degradation.config.preset, degradation.config.seed, degradation.config.drift) == (preset, 11, 0.4)
    assert json.loads(info.metadata[PARAMETERS_TAG]) == json.loads(degradation.to_json())
    assert "prompt" in info.metadata
    assert result.progress("2")[-1] == (5, 5)


def test_another_seed_is_another_degradation(clip: str, run_prompt: Callable[..., PromptResult]) -> None:
    results = [run_prompt(journey(clip, "phone messenger", seed)).outputs["5"]["text"][0] for seed in (1, 2, 1)]
    assert results[0] == results[2] != results[1]


def test_the_server_offers_every_preset(client: ComfyClient) -> None:
    options = client.object_info()["OVSR_DegradeVideo"]["input"]["required"]["preset"]
    assert list(PRESETS) in (options[0], options[1].get("options"))


def test_what_is_too_small_is_said(client: ComfyClient, tmp_path: Path, put_input: Callable[[Path], str]) -> None:
    small = put_input(make_video(tmp_path / "small.mp4", (48, 32)))
    result = client.run(journey(small, "VHS", 0, scale="1/4"))
    assert result.status == "error"
    assert "at least 16 pixels a side, got 12x8" in str(result.error)


def test_an_unknown_preset_is_refused(client: ComfyClient, clip: str) -> None:
    """By the host before the run, or by us."""
    try:
        words = str(client.run(journey(clip, "betamax", 0)).error)
    except PromptRejectedError as error:
        words = str(error)
    assert "betamax" in words
    assert "low-bitrate stream" in words
