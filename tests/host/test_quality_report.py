"""QualityReport in a real ComfyUI: its outputs and files, and LoadVideo that takes the worst moment from it."""

import csv
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import save_file

from textovsr.core.quality.clip_files import caches
from textovsr.core.quality.clip_iqa import ClipIqa
from textovsr.tests.helpers.clip import small_clip
from textovsr.tests.helpers.spoilt import BAD, FRAMES, write
from textovsr.tools.comfy_client import ComfyClient, PromptResult
from textovsr.tools.comfy_server import ComfyServer

Prompt = dict[str, Any]


@pytest.fixture(scope="module")
def names(server: ComfyServer) -> tuple[str, str]:
    """A video with one bad frame, and the true one, in the server's input folder."""
    folder = server.base / "input"
    return write(folder / "spoilt.mkv", spoilt=True).name, write(folder / "true.mkv", spoilt=False).name


def journey(video: str, reference: str | None, **settings: Any) -> Prompt:
    """LoadVideo, twice -> QualityReport -> a preview of each text, the pictures saved."""
    prompt: Prompt = {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": video}},
        "3": {"class_type": "OVSR_QualityReport", "inputs": {"video": ["1", 0], **settings}},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
        "5": {"class_type": "PreviewAny", "inputs": {"source": ["3", 6]}},
    }
    if reference is not None:
        prompt["2"] = {"class_type": "OVSR_LoadVideo", "inputs": {"file": reference}}
        prompt["3"]["inputs"]["reference"] = ["2", 0]
    for number, output in (("6", 1), ("7", 2), ("8", 3)):
        prompt[number] = {"class_type": "SaveImage", "inputs": {"images": ["3", output], "filename_prefix": "q/p"}}
    return prompt


def sizes(server: ComfyServer, result: PromptResult, node: str) -> list[tuple[int, int]]:
    """Of the pictures that a SaveImage wrote."""
    files = [server.base / "output" / f["subfolder"] / f["filename"] for f in result.outputs[node]["images"]]
    found = []
    for file in files:
        with Image.open(file) as picture:
            found.append(picture.size)
    return found


def test_a_video_against_its_reference(
    server: ComfyServer, names: tuple[str, str], run_prompt: Callable[..., PromptResult]
) -> None:
    prompt = journey(*names, measures="against the reference", window=0.1, worst=2, filename_prefix="q/report")
    prompt["9"] = {
        "class_type": "OVSR_LoadVideo",
        "inputs": {"file": names[0], "start": ["3", 4], "duration": ["3", 5]},
    }
    prompt["10"] = {
        "class_type": "OVSR_SaveVideo",
        "inputs": {"video": ["9", 0], "filename_prefix": "q/worst", "container": "mkv"},
    }
    result = run_prompt(prompt)
    report, moments = (result.outputs[number]["text"][0] for number in ("4", "5"))
    assert "| PSNR-Y (dB) |" in report
    assert "| VMAF-NEG |" in report
    assert moments.splitlines()[0].startswith(f"start={BAD / 10:.3f} duration=0.100")
    page, rows = (server.base / "output" / f["subfolder"] / f["filename"] for f in result.outputs["3"]["files"])
    assert page.read_text("utf-8").count("<figure>") == 2
    with rows.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == FRAMES
    ((width, _),) = sizes(server, result, "6")
    assert width == 1200
    assert len(sizes(server, result, "7")) == 1
    assert sizes(server, result, "8") == [(2 * 480 + 6, 320)] * 2
    assert result.progress("3")[-1] == (FRAMES, FRAMES)
    (saved,) = result.outputs["10"]["images"]
    assert saved["filename"].endswith(".mkv")


def test_a_set_leaves_out_what_needs_a_reference(
    names: tuple[str, str], run_prompt: Callable[..., PromptResult]
) -> None:
    report = run_prompt(journey(names[0], None, measures="quick")).outputs["4"]["text"][0]
    assert "| sharpness (levels) |" in report
    assert "PSNR" not in report


def test_a_named_measure_has_to_be_there(names: tuple[str, str], client: ComfyClient) -> None:
    result = client.run(journey(names[0], None, metrics="sharpness, lpips"))
    assert result.error is not None
    assert "Expected a reference for lpips" in result.error["exception_message"]


def test_clip_iqa_is_among_the_measures_once_its_weights_are_on_the_disk(
    names: tuple[str, str], run_prompt: Callable[..., PromptResult], client: ComfyClient, server: ComfyServer
) -> None:
    prompt = journey(*names, metrics="clip_iqa, warping")
    folder = server.base / "models" / "clip_iqa"
    shutil.rmtree(folder, ignore_errors=True)  # of other tests
    if not any(path.is_file() for path in caches()):
        said = client.run(prompt).error
        assert said is not None
        assert "CLIP RN50 for CLIP-IQA, found none" in said["exception_message"]
    folder.mkdir(parents=True)
    save_file(small_clip(), folder / "rn50.safetensors")
    report = run_prompt(prompt).outputs["4"]["text"][0]
    shutil.rmtree(folder)
    assert "| CLIP-IQA |" in report
    assert "| warping error (x1000) |" in report


def test_clip_is_loaded_by_the_host_and_the_flow_runs_where_it_computes(
    nodes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import comfy.model_management

    module: Any = sys.modules[nodes["OVSR_QualityReport"].__module__]
    models: Any = sys.modules[module.loaded_clip_iqa.__module__]
    monkeypatch.setattr(module, "find_clip", lambda name, folders: Path(__file__))
    monkeypatch.setattr(models, "load_clip_iqa", lambda path, pairs: ClipIqa(small_clip(), pairs))
    clip = module._clip((64, 48))
    assert any(entry.model.model is clip for entry in comfy.model_management.current_loaded_models)
    monkeypatch.setattr(comfy.model_management, "get_torch_device", lambda: "elsewhere")
    assert module._config({}).device == "elsewhere"
