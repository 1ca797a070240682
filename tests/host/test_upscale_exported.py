"""An exported network in ComfyUI: listed beside other weights, chosen, run twice."""

from collections.abc import Callable
from pathlib import Path

import av

from textovsr.tests.helpers.cli import make_video
from textovsr.tests.helpers.exported import save_tiny_exported
from textovsr.tools.comfy_client import PromptResult
from textovsr.tools.comfy_server import ComfyServer

NAME = "tiny-int8.safetensors"


def test_it_is_chosen_in_the_node(
    tmp_path: Path, server: ComfyServer, put_input: Callable[[Path], str], run_prompt: Callable[..., PromptResult]
) -> None:
    folder = server.base / "models" / "textovsr"
    folder.mkdir(parents=True, exist_ok=True)
    exported = save_tiny_exported(folder / NAME)
    try:
        results = [picture(server, put_input(make_video(tmp_path / f"{n}.mp4", (48, 32))), run_prompt) for n in "ab"]
    finally:
        exported.unlink()
    assert results[0] == results[1]
    assert len(results[0]) == 5


def picture(server: ComfyServer, name: str, run_prompt: Callable[..., PromptResult]) -> list[bytes]:
    """The frames of an upscaled video."""
    inputs = {"video": ["1", 0], "weights": NAME, "codec": "ffv1"}
    (file,) = run_prompt(
        {
            "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": name}},
            "2": {"class_type": "OVSR_TextOVSRUpscale", "inputs": inputs},
            "3": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": f"t/{name}"}},
        }
    ).files()
    with av.open(str(server.base / file["type"] / file["subfolder"] / file["filename"])) as container:
        frames = list(container.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {(192, 128)}
    return [frame.to_ndarray(format="rgb24").tobytes() for frame in frames]
