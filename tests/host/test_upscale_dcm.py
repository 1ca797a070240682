"""The shipped module that takes back compression, chosen by its name in the node."""

from collections.abc import Callable
from pathlib import Path

import av

from textovsr.tests.helpers.cli import make_video
from textovsr.tools.comfy_client import PromptResult
from textovsr.tools.comfy_server import ComfyServer


def test_it_runs_in_the_node(
    tmp_path: Path, server: ComfyServer, put_input: Callable[[Path], str], run_prompt: Callable[..., PromptResult]
) -> None:
    make_video(tmp_path / "clip.mp4", (48, 32), frames=3)
    (file,) = run_prompt(
        {
            "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": put_input(tmp_path / "clip.mp4")}},
            "2": {"class_type": "OVSR_TextOVSRUpscale", "inputs": {"video": ["1", 0], "weights": "sdatc-dcm"}},
            "3": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": "t/dcm"}},
        }
    ).files()
    with av.open(str(server.base / file["type"] / file["subfolder"] / file["filename"])) as container:
        assert [(frame.width, frame.height) for frame in container.decode(video=0)] == [(192, 128)] * 3
