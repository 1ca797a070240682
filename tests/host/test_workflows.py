"""Every bundled workflow in API format: known to the server as it is written, and run to its end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from safetensors.torch import save_file

from textovsr.tests.helpers.clip import small_clip as small_weights
from textovsr.tools.comfy_client import ComfyClient, PromptResult
from textovsr.tools.comfy_server import ComfyServer

VIDEOS = (".mp4", ".mkv", ".mov", ".webm")
FILES = sorted((Path(__file__).resolve().parents[2] / "workflows" / "api").glob("*.json"))


def load(file: Path) -> dict[str, Any]:
    """One workflow."""
    return dict(json.loads(file.read_text("utf-8")))


@pytest.fixture
def small_clip(tmp_path: Path) -> Path:
    """Five frames of 96x64 with a moving edge."""
    path = tmp_path / "small.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(5):
            picture = np.zeros((64, 96, 3), np.uint8)
            picture[:, 4 + index :] = 200
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module", autouse=True)
def _weights(server: ComfyServer) -> None:
    """What some workflows need and the pack does not ship, as small as it can be."""
    folder = server.base / "models" / "clip_iqa"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(small_weights(), folder / "tiny.safetensors")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_node_and_input_is_known(file: Path, client: ComfyClient) -> None:
    known = client.object_info()
    for node in load(file).values():
        inputs = known[node["class_type"]]["input"]
        assert set(inputs.get("required", {})) <= set(node["inputs"])
        assert set(node["inputs"]) <= {name for kind in inputs.values() for name in kind}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_runs(
    file: Path,
    run_prompt: Callable[..., PromptResult],
    put_input: Callable[[Path], str],
    server: ComfyServer,
    small_clip: Path,
) -> None:
    prompt = load(file)
    for node in prompt.values():
        if node["class_type"] == "OVSR_LoadVideo":
            node["inputs"]["file"] = put_input(small_clip)
    files = (file for file in run_prompt(prompt).files() if file["type"] == "output")
    (written,) = (file for file in files if Path(file["filename"]).suffix in VIDEOS)
    with av.open(str(server.base / "output" / written["subfolder"] / written["filename"])) as result:
        assert sum(1 for _ in result.decode(video=0)) == 5
