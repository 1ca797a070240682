"""Save Video, in a real ComfyUI: videos in a container that results cannot be in."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from textovsr.tools.comfy_client import PromptResult
from textovsr.tools.comfy_server import ComfyServer


@pytest.mark.parametrize(("codec", "kept"), [("mjpeg", "mjpeg"), ("cinepak", "h264")])
def test_an_untouched_avi_becomes_mkv(
    codec: str,
    kept: str,
    webcam_clip: Path,
    put_input: Callable[[Path], str],
    run_prompt: Callable[..., PromptResult],
    server: ComfyServer,
    tmp_path: Path,
) -> None:
    """Packets are copied where Matroska holds them, encoded where it does not."""
    source = webcam_clip if codec == "cinepak" else photographs(tmp_path / "camera.avi")
    prompt = {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": put_input(source)}},
        "2": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["1", 0], "filename_prefix": "t/kept"}},
    }
    (written,) = (file for file in run_prompt(prompt).files() if file["type"] == "output")
    assert Path(written["filename"]).suffix == ".mkv"
    path = server.base / "output" / written["subfolder"] / written["filename"]
    with av.open(str(source)) as given, av.open(str(path)) as result:
        assert (given.streams.video[0].codec.canonical_name, result.streams.video[0].codec.canonical_name) == (
            codec,
            kept,
        )
        before, after = ([bytes(p) for p in file.demux(video=0) if p.size] for file in (given, result))
    assert len(before) == len(after)
    assert (before == after) == (codec == kept)


def photographs(path: Path) -> Path:
    """Three frames of Motion JPEG."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuvj420p")))
        container.mux(stream.encode(None))
    return path
