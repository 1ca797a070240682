"""DegradationText in a real ComfyUI: its texts, its settings, and the upscaler that takes what it says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textovsr.core.degrade.estimator import ATTRIBUTES
from textovsr.core.text.vtt import parse_text
from textovsr.tests.helpers.networks import save_tiny
from textovsr.tools.comfy_client import PromptResult
from textovsr.tools.comfy_server import ComfyServer

Prompt = dict[str, Any]


def journey(file: str, **settings: Any) -> Prompt:
    """LoadVideo -> DegradationText -> a preview of each output."""
    prompt: Prompt = {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": file, "duration": 0.5}},
        "2": {"class_type": "OVSR_DegradationText", "inputs": {"video": ["1", 0], **settings}},
    }
    for output in range(3):
        prompt[str(3 + output)] = {"class_type": "PreviewAny", "inputs": {"source": ["2", output]}}
    return prompt


def shown(result: PromptResult) -> list[str]:
    """WebVTT, the text of the whole video, the table."""
    return [result.outputs[str(3 + output)]["text"][0] for output in range(3)]


def test_a_video_is_described(phone_clip: Path, run_prompt: Callable[..., PromptResult]) -> None:
    result = run_prompt(journey(phone_clip.name))
    webvtt, overall, table = shown(result)
    (cue,) = parse_text(webvtt).cues
    assert cue.start == 0.0
    assert "downsample" in cue.text.split(", ")
    assert overall == cue.text
    assert table.count("whole video") == len(ATTRIBUTES)
    assert any(event["type"] == "progress_state" or "progress" in event["type"] for event in result.events)


def test_settings_reach_it(webcam_clip: Path, run_prompt: Callable[..., PromptResult]) -> None:
    prompt = journey(webcam_clip.name, frames_per_shot=1, cut_threshold=1.0)
    webvtt, _, _ = shown(run_prompt(prompt))
    assert webvtt.count("-->") == 1


def test_the_core_s_video_is_described_and_the_upscaler_takes_the_text(
    server: ComfyServer, phone_clip: Path, run_prompt: Callable[..., PromptResult]
) -> None:
    folder = server.base / "models" / "textovsr"
    folder.mkdir(parents=True, exist_ok=True)
    weights = save_tiny(folder / "tiny.safetensors").name
    prompt = journey(phone_clip.name)
    prompt["1"]["inputs"]["duration"] = 0.15
    prompt["6"] = {
        "class_type": "OVSR_TextOVSRUpscale",
        "inputs": {"video": ["1", 0], "weights": weights, "degradation_text": ["2", 0]},
    }
    prompt["7"] = {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["6", 0], "filename_prefix": "t/described"}}
    prompt["8"] = {"class_type": "LoadVideo", "inputs": {"file": phone_clip.name}}
    prompt["9"] = {"class_type": "OVSR_DegradationText", "inputs": {"video": ["8", 0], "frames_per_shot": 1}}
    prompt["10"] = {"class_type": "PreviewAny", "inputs": {"source": ["9", 1]}}
    result = run_prompt(prompt)
    assert len(result.files()) == 1
    assert "downsample" in result.outputs["10"]["text"][0]
