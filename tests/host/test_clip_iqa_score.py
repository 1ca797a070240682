"""CLIPIQAScore in a real ComfyUI: videos and images, its outputs, its words when there are no weights, downloads."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import save_file

from textovsr.core.job import Source
from textovsr.core.quality.clip_files import caches
from textovsr.core.quality.clip_iqa import ClipIqa
from textovsr.core.quality.clip_scores import ScoreConfig, score_source
from textovsr.tests.helpers.clip import small_clip
from textovsr.tools.comfy_client import ComfyClient, PromptResult
from textovsr.tools.comfy_server import ComfyServer

Prompt = dict[str, Any]
NAME = "tiny.safetensors"


def shown(prompt: Prompt, score: str = "2") -> Prompt:
    """Previews of the mean, the scores and the plot."""
    for output in range(2):
        prompt[f"9{output}"] = {"class_type": "PreviewAny", "inputs": {"source": [score, output]}}
    prompt["92"] = {"class_type": "PreviewImage", "inputs": {"images": [score, 2]}}
    return prompt


def journey(file: str, **settings: Any) -> Prompt:
    """LoadVideo -> CLIPIQAScore -> previews."""
    return shown(
        {
            "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": file, "duration": 0.4}},
            "2": {"class_type": "OVSR_CLIPIQAScore", "inputs": {"video": ["1", 0], **settings}},
        }
    )


def told(result: PromptResult) -> tuple[float, str]:
    """The mean and the scores."""
    mean, scores = (result.outputs[f"9{output}"]["text"][0] for output in range(2))
    return float(mean), str(scores)


@pytest.fixture(scope="module")
def weights(server: ComfyServer) -> str:
    """The name of a small CLIP on the server's disk."""
    folder = server.base / "models" / "clip_iqa"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(small_clip(), folder / NAME)
    return NAME


# The test without weights comes first: the fixture ``weights`` lasts as long as the server.


@pytest.mark.skipif(any(path.is_file() for path in caches()), reason="this machine has CLIP RN50")
def test_without_weights_the_ways_to_them_are_named(client: ComfyClient, phone_clip: Path) -> None:
    result = client.run(journey(phone_clip.name))
    assert result.status == "error"
    said = str(result.error)
    assert "to get it (408 MB, licence MIT, from https://" in said
    assert "clip_iqa" in said


def test_a_video_is_scored_as_the_core_scores_it(
    weights: str, server: ComfyServer, phone_clip: Path, run_prompt: Callable[..., PromptResult]
) -> None:
    result = run_prompt(journey(phone_clip.name, clip=weights, max_frames=4))
    mean, scores = told(result)
    expected = score_source(Source(phone_clip, duration=0.4), ClipIqa(small_clip()), ScoreConfig(most=4))
    assert mean == pytest.approx(expected.mean, abs=1e-4)
    rows = list(csv.DictReader(io.StringIO(scores)))
    assert list(rows[0]) == ["frame", "seconds", "score"]
    assert [int(row["frame"]) for row in rows] == list(expected.frames)
    assert [float(row["score"]) for row in rows] == pytest.approx(expected.scores, abs=1e-4)
    (plot,) = result.outputs["92"]["images"]
    with Image.open(server.base / "temp" / plot["subfolder"] / plot["filename"]) as image:
        assert image.size == (1200, 420)
    assert result.progress("2")


def test_images_are_scored_by_pairs_of_one_s_own(weights: str, run_prompt: Callable[..., PromptResult]) -> None:
    prompt = shown(
        {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": 48, "height": 40, "batch_size": 3, "color": 0x336699},
            },
            "2": {
                "class_type": "OVSR_CLIPIQAScore",
                "inputs": {"video": ["1", 0], "prompts": "sharp / blurry\nnatural / artificial", "format": "json"},
            },
        }
    )
    mean, scores = told(run_prompt(prompt))
    values = json.loads(scores)
    assert values["mean"] == pytest.approx(mean, abs=1e-5)
    assert values["frame"] == [0, 1, 2]
    assert [entry["prompts"] for entry in values["pairs"]] == [["sharp", "blurry"], ["natural", "artificial"]]
    assert len({round(score, 5) for score in values["score"]}) == 1


def test_the_weights_are_offered(weights: str, client: ComfyClient) -> None:
    known = client.object_info("OVSR_CLIPIQAScore")
    inputs = known.get("OVSR_CLIPIQAScore", known)["input"]["optional"]
    assert weights in str(inputs["clip"])
    assert "automatic" in str(inputs["clip"])


def test_a_line_that_is_no_pair_is_refused(client: ComfyClient, weights: str, phone_clip: Path) -> None:
    result = client.run(journey(phone_clip.name, clip=weights, prompts="sharp"))
    assert result.status == "error"
    assert "one pair a line" in str(result.error)


def test_nothing_is_downloaded_without_consent(
    nodes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["OVSR_CLIPIQAScore"]
    module: Any = sys.modules[node.__module__]
    asked: list[Path] = []

    def download(file: Any, target: Path, report: Any) -> Path:
        asked.append(target)
        return target

    monkeypatch.setattr(module, "download", download)
    monkeypatch.setattr(module, "clip_folders", lambda: [tmp_path / "clip_iqa"])
    monkeypatch.setattr(module, "download_reporter", lambda node, name: None)
    monkeypatch.setattr(sys.modules[module.find_clip.__module__], "caches", list)
    with pytest.raises(Exception, match="Switch download on"):
        module._weights(node, "automatic", False)
    assert asked == []
    target = tmp_path / "clip_iqa" / "clip_rn50_openai.safetensors"
    assert module._weights(node, "automatic", True) == target
    assert asked == [target]
    target.parent.mkdir()
    save_file(small_clip(), target)
    assert module._weights(node, "automatic", True) == target
    assert len(asked) == 1


def test_a_download_shows_its_bytes_and_can_be_cancelled(
    nodes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = sys.modules[nodes["OVSR_CLIPIQAScore"].__module__]
    host: Any = sys.modules[module.download_reporter.__module__]
    bars: list[tuple[int, int]] = []
    words: list[str] = []
    execution = SimpleNamespace(set_progress=lambda done, total: bars.append((done, total)))
    monkeypatch.setattr(host, "ComfyAPISync", lambda: SimpleNamespace(execution=execution))
    monkeypatch.setattr(host, "show_text", lambda node, text: words.append(text))
    monkeypatch.setattr(host, "_PREVIEW_SECONDS", 1e9)
    report = module.download_reporter(nodes["OVSR_CLIPIQAScore"], "RN50.pt")
    report(1_000_000, 4_000_000)
    report(2_000_000, 4_000_000)
    report(4_000_000, 4_000_000)
    assert bars == [(1_000_000, 4_000_000), (4_000_000, 4_000_000)]
    assert words == ["downloading RN50.pt: 1.0 MB of 4.0 MB", "downloading RN50.pt: 4.0 MB of 4.0 MB"]

    def cancelled() -> None:
        raise InterruptedError

    monkeypatch.setattr(host, "check_cancelled", cancelled)
    with pytest.raises(InterruptedError):
        report(4_000_000, 4_000_000)
