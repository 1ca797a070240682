"""LLaVACaption in a real ComfyUI: the user's own text, tiny models on its disk, and what is said without either."""

import importlib
import json
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from textovsr.core.text.vtt import parse_text
from textovsr.tests.helpers.networks import save_tiny
from textovsr.tests.helpers.vlms import WORDS, save_vlm
from textovsr.tests.host.holding import held
from textovsr.tools.comfy_client import ComfyClient, Event, PromptResult, node_progress
from textovsr.tools.comfy_server import ComfyServer

Prompt = dict[str, Any]


@pytest.fixture(scope="module")
def models(server: ComfyServer) -> list[str]:
    """Names of two tiny models on the server's disk."""
    folder = server.base / "models"
    save_vlm(folder / "LLM" / "tiny-llava")
    save_vlm(folder / "LLavacheckpoints" / "author" / "tiny-next", "llava_next")
    return ["tiny-llava", "author/tiny-next"]


def journey(file: str, **settings: Any) -> Prompt:
    """LoadVideo -> LLaVACaption."""
    return {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": file, "duration": 0.5}},
        "2": {"class_type": "OVSR_LLaVACaption", "inputs": {"video": ["1", 0], "model": "auto", **settings}},
    }


def captions(result: PromptResult) -> str:
    return str(result.outputs["2"]["text"][0])


# The tests without a model come first: the fixture ``models`` lasts as long as the server.


def test_without_a_model_the_three_ways_are_named(client: ComfyClient, phone_clip: Path) -> None:
    result = client.run(journey(phone_clip.name))
    assert result.status == "error"
    said = str(result.error)
    assert "There are three ways: put the folder of one" in said
    assert "or have it fetched, with `download`" in said
    assert "write the captions yourself" in said


def test_nothing_is_fetched_that_is_no_repository(client: ComfyClient, phone_clip: Path) -> None:
    result = client.run(journey(phone_clip.name, download=True, repository="not one"))
    assert result.status == "error"
    assert "Expected a repository such as llava-hf/" in str(result.error)


def test_one_s_own_text_needs_no_model(
    server: ComfyServer, phone_clip: Path, run_prompt: Callable[..., PromptResult]
) -> None:
    plain = captions(run_prompt(journey(phone_clip.name, captions="A cat\non a sofa.")))
    (cue,) = parse_text(plain).cues
    assert (cue.start, cue.text) == (0.0, "A cat on a sofa.")
    assert 1 < cue.end < 60  # as long as the video
    saved = server.base / "output" / f"{phone_clip.stem}.vtt"
    assert saved.read_text("utf-8") == plain
    timed = "WEBVTT\n\nNOTE mine\n\n00:00.000 --> 00:00.200\nA dog\n"
    assert captions(run_prompt(journey(phone_clip.name, captions=timed))) == timed
    assert saved.read_text("utf-8") == plain  # another text has another name
    assert any(file.read_text("utf-8") == timed for file in saved.parent.glob(f"{phone_clip.stem}_*.vtt"))


def test_a_tiny_llava_captions_and_the_upscaler_takes_them(
    server: ComfyServer, models: list[str], phone_clip: Path, run_prompt: Callable[..., PromptResult]
) -> None:
    weights = server.base / "models" / "textovsr" / "tiny.safetensors"
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_tiny(weights)
    prompt = journey(phone_clip.name, every=0.2, max_tokens=5, batch=2, filename_prefix="t/words")
    prompt["3"] = {
        "class_type": "OVSR_TextOVSRUpscale",
        "inputs": {"video": ["1", 0], "weights": weights.name, "caption": ["2", 0]},
    }
    prompt["4"] = {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["3", 0], "filename_prefix": "t/captioned"}}
    prompt["1"]["inputs"]["duration"] = 0.3
    result = run_prompt(prompt)
    cues = parse_text(captions(result)).cues
    assert [round(cue.start, 1) for cue in cues] == [0.0, 0.2]
    assert all(len(cue.text.split()) == 5 and set(cue.text.split()) <= set(WORDS) for cue in cues)
    assert len(result.files()) == 1
    (saved,) = (server.base / "output" / "t").glob("words_*.vtt")
    assert saved.read_text("utf-8") == captions(result)
    assert result.progress("2")


def test_models_of_other_folders_and_settings(
    models: list[str], client: ComfyClient, phone_clip: Path, run_prompt: Callable[..., PromptResult]
) -> None:
    (listed, *_) = client.object_info("OVSR_LLaVACaption")["OVSR_LLaVACaption"]["input"]["required"]["model"]
    options = listed if isinstance(listed, list) else _[0]["options"]
    assert options == ["auto", "author/tiny-next", "tiny-llava"]
    choice = {"model": models[1], "max_tokens": 4, "frames_per_shot": 1, "precision": "bfloat16", "keep_loaded": True}
    first = captions(run_prompt(journey(phone_clip.name, prompt="the cat", **choice)))
    assert parse_text(first).cues[0].text.split()


def test_cancelling_stops_it(models: list[str], client: ComfyClient, phone_clip: Path, tmp_path: Path) -> None:
    asked = 0

    def cancel(event: Event) -> None:
        nonlocal asked
        if node_progress(event) and any(node == "2" for node, *_ in node_progress(event)) and not asked:
            asked += 1
            client.interrupt()

    settings = {"model": models[0], "max_tokens": 800, "every": 0.05, "batch": 1, "prompt": "cancel"}
    result = client.run(held(journey(phone_clip.name, **settings), "2", 1, tmp_path / "never"), on_event=cancel)
    assert asked
    assert result.status == "interrupted"


def test_a_model_is_let_go_unless_it_is_kept(pack: ModuleType, tmp_path: Path) -> None:
    host = importlib.import_module(f"{pack.__name__}.nodes.host.models")
    folder = save_vlm(tmp_path / "tiny")
    seen: list[Any] = []
    for keep in (False, True, True, False):
        with host.loaded_vlm(folder, "float32", keep) as model:
            assert model.network.device == torch.device("cpu")
            assert keep is False or len(seen) != 2 or model is seen[1]()
            seen.append(weakref.ref(model))
        del model
    host.comfy.model_management.cleanup_models()
    importlib.import_module("gc").collect()
    assert [ref() for ref in seen] == [None] * 4


def test_extra_model_paths_are_looked_into(pack: ModuleType, host: ModuleType, tmp_path: Path) -> None:
    ours = importlib.import_module(f"{pack.__name__}.nodes.host.folders")
    model = tmp_path / "elsewhere" / "mine"
    model.mkdir(parents=True)
    (model / "config.json").write_text(
        json.dumps({"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}})
    )
    host.add_model_folder_path("LLM", str(model.parent))
    try:
        assert "mine" in ours.vlm_names()
    finally:
        host.folder_names_and_paths["LLM"][0].remove(str(model.parent))
