"""Every bundled workflow in API format: known to the server as it is written, and run to its end."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from safetensors.torch import save_file

from textovsr.tests.helpers.clip import small_clip as small_weights
from textovsr.tests.helpers.diffusion import CONDITIONING, Kind, save_checkpoint, save_controlnet
from textovsr.tests.helpers.diffusion_files import SAVE
from textovsr.tools.comfy_client import ComfyClient, PromptResult
from textovsr.tools.comfy_server import ComfyServer

VIDEOS = (".mp4", ".mkv", ".mov", ".webm")
FILES = sorted((Path(__file__).resolve().parents[2] / "workflows" / "api").glob("*.json"))

CHECKPOINTS: dict[str, tuple[Kind, int]] = {
    "v1-5-pruned-emaonly-fp16.safetensors": ("sd15", 768),
    "x4-upscaler-ema.safetensors": ("sdx4", 1024),
}
"""Which family each one is, and the width of its text."""

RESTORE = "OVSR_DiffusionRestore"


def load(file: Path) -> dict[str, Any]:
    """One workflow."""
    return dict(json.loads(file.read_text("utf-8")))


def make_small(prompt: dict[str, Any]) -> bool:
    """Texts of a node of the tests instead of CLIP's, which is too large; two steps. Whether it samples."""
    names = [node["inputs"].get("ckpt_name") for node in prompt.values()]
    width = next((CHECKPOINTS[name][1] for name in names if name), 0)
    for node in prompt.values():
        if node["class_type"] == "CLIPTextEncode":
            node.update(class_type=CONDITIONING, inputs={"seed": len(node["inputs"]["text"]), "width": width})
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = 2
        if node["class_type"] == RESTORE:
            node["inputs"] |= {"least_side": 64, "steps": 3}
    return width > 0 or any(node["class_type"] == RESTORE for node in prompt.values())


def write_clip(path: Path, width: int, height: int) -> Path:
    """Five frames with a moving edge."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(5):
            picture = np.zeros((height, width, 3), np.uint8)
            picture[:, 4 + index :] = 200
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def put_folder(folder: Path, clip: Path, names: list[str]) -> None:
    """Videos of these names, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in names:
        shutil.copyfile(clip, folder / f"{name}{clip.suffix}")


@pytest.fixture(scope="module", autouse=True)
def _weights(server: ComfyServer, host: ModuleType) -> None:
    """What some workflows need and the pack does not ship, as small as it can be."""
    folder = server.base / "models" / "clip_iqa"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(small_weights(), folder / "tiny.safetensors")
    checkpoints = server.base / "models" / "checkpoints"
    for checkpoint, (kind, _) in CHECKPOINTS.items():
        save_checkpoint(checkpoints, kind, checkpoint)
    save_controlnet(server.base / "models" / "controlnet", "control_v11f1e_sd15_tile_fp16.safetensors")


@pytest.fixture
def save_system(server: ComfyServer) -> Iterator[Callable[[str], None]]:
    """Gives a diffusion system its files, of a few channels, for one test: they would be taken for another's."""
    folder = server.base / "models" / "textovsr" / "system"
    yield lambda title: SAVE[title](folder)
    shutil.rmtree(folder, ignore_errors=True)


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
    save_system: Callable[[str], None],
    tmp_path: Path,
) -> None:
    prompt = load(file)
    diffusion = make_small(prompt)
    for system in {node["inputs"]["system"] for node in prompt.values() if node["class_type"] == RESTORE}:
        save_system(system)
    clip = write_clip(tmp_path / "small.mp4", *((32, 16) if diffusion else (96, 64)))
    names = ["small"]
    for node in prompt.values():
        if node["class_type"] == "OVSR_LoadVideo":
            node["inputs"]["file"] = put_input(clip)
        if node["class_type"] == "OVSR_ListVideos":
            names = ["first", "second"]
            put_folder(server.base / "input" / node["inputs"]["folder"], clip, names)
    files = (each for each in run_prompt(prompt).files() if each["type"] == "output")
    written = [each for each in files if Path(each["filename"]).suffix in VIDEOS]
    assert len(written) == len(names)
    assert len(names) == 1 or [Path(each["filename"]).stem for each in written] == [f"{name}_00001_" for name in names]
    for each in written:
        with av.open(str(server.base / "output" / each["subfolder"] / each["filename"])) as result:
            assert sum(1 for _ in result.decode(video=0)) == 5
