"""The journey through the real server: load, upscale, save; what the core's nodes make of our VIDEO; cancelling."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from textovsr.tests.helpers.networks import add_detail_end, save_tiny
from textovsr.tests.host.holding import held
from textovsr.tools.comfy_client import ComfyClient, Event, PromptRejectedError, PromptResult, node_progress
from textovsr.tools.comfy_server import ComfyServer

PTS = (0, 3000, 7500, 9000, 15000, 18000, 21000, 24500, 27000)
"""Irregular times in a time base of 1/90000 s."""

Prompt = dict[str, Any]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Nine frames of 48x32 at irregular times, with a second of AAC sound."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for index, pts in enumerate(PTS):
            picture = np.full((32, 48, 3), 40, np.uint8)
            picture[:, 4 * index : 4 * index + 16] = 210
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 90000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        tone = np.sin(np.arange(16000) / 8)[None].astype(np.float32)
        samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        samples.sample_rate, samples.pts = 16000, 0
        container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
    return path


@pytest.fixture
def tiny(server: ComfyServer) -> str:
    """Weights of a tiny network in the server's models/textovsr."""
    folder = server.base / "models" / "textovsr"
    folder.mkdir(parents=True, exist_ok=True)
    return save_tiny(folder / "tiny.safetensors").name


def journey(file: str, weights: str, **settings: Any) -> Prompt:
    """LoadVideo -> TextOVSRUpscale -> SaveVideo."""
    return {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": file}},
        "2": {"class_type": "OVSR_TextOVSRUpscale", "inputs": {"video": ["1", 0], "weights": weights, **settings}},
        "3": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": "t/up"}},
    }


def saved(server: ComfyServer, result: PromptResult) -> Path:
    """The one file a prompt wrote."""
    (file,) = result.files()
    return server.base / file["type"] / file["subfolder"] / file["filename"]


def packets(path: Path, kind: str) -> list[bytes]:
    """The packets of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def test_a_video_comes_back_four_times_larger_with_its_times_and_sound(
    clip: Path,
    tiny: str,
    server: ComfyServer,
    put_input: Callable[[Path], str],
    run_prompt: Callable[..., PromptResult],
) -> None:
    result = run_prompt(journey(put_input(clip), tiny, window=4, look_ahead=2))
    path = saved(server, result)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        assert [round(frame.pts * frame.time_base * 90000) for frame in frames] == list(PTS)
        assert (frames[0].width, frames[0].height) == (192, 128)
        assert "prompt" in container.metadata
    assert packets(path, "audio") == packets(clip, "audio")
    assert result.progress("2")[-1] == (9, 9)
    assert result.previews > 0


@pytest.mark.parametrize(
    ("settings", "size", "codec"),
    [
        ({"scale": "2"}, (96, 64), "h264"),
        ({"target_height": 100, "color_fix": "wavelet"}, (150, 100), "h264"),
        ({"codec": "ffv1", "color_fix": "adain", "tile": 32}, (192, 128), "ffv1"),
        ({"codec": "hevc", "crf": 28, "cleaning_threshold": 0.0}, (192, 128), "hevc"),
    ],
)
def test_size_and_codec_are_as_asked(
    settings: dict[str, Any],
    size: tuple[int, int],
    codec: str,
    clip: Path,
    tiny: str,
    server: ComfyServer,
    put_input: Callable[[Path], str],
    run_prompt: Callable[..., PromptResult],
) -> None:
    path = saved(server, run_prompt(journey(put_input(clip), tiny, **settings)))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.name) == (*size, codec)
        assert sum(1 for _ in container.decode(stream)) == len(PTS)


def test_a_part_of_a_video(
    clip: Path,
    tiny: str,
    server: ComfyServer,
    put_input: Callable[[Path], str],
    run_prompt: Callable[..., PromptResult],
) -> None:
    prompt = journey(put_input(clip), tiny)
    prompt["1"]["inputs"] |= {"start": 0.1, "duration": 0.15}
    with av.open(str(saved(server, run_prompt(prompt)))) as container:
        assert sum(1 for _ in container.decode(video=0)) == sum(9000 <= pts < 22500 for pts in PTS)


def test_the_cores_nodes_take_our_video(
    clip: Path,
    tiny: str,
    server: ComfyServer,
    put_input: Callable[[Path], str],
    run_prompt: Callable[..., PromptResult],
) -> None:
    prompt = journey(put_input(clip), tiny)
    prompt["3"] = {
        "class_type": "SaveVideo",
        "inputs": {"video": ["2", 0], "filename_prefix": "t/core", "format": "auto", "codec": "auto"},
    }
    prompt["4"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}}
    prompt["5"] = {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "t/frame"}}
    prompt["6"] = {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}}
    result = run_prompt(prompt)
    assert len(result.outputs["5"]["images"]) == len(PTS)
    (file,) = result.outputs["3"]["images"]
    assert len(packets(server.base / "output" / file["subfolder"] / file["filename"], "audio")) > 0


def test_our_nodes_take_the_cores_video(
    clip: Path,
    tiny: str,
    server: ComfyServer,
    put_input: Callable[[Path], str],
    run_prompt: Callable[..., PromptResult],
) -> None:
    prompt = journey(put_input(clip), tiny)
    prompt["1"] = {"class_type": "LoadVideo", "inputs": {"file": clip.name}}
    with av.open(str(saved(server, run_prompt(prompt)))) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(PTS)


def test_images_in_images_out(
    clip: Path,
    tiny: str,
    server: ComfyServer,
    put_input: Callable[[Path], str],
    run_prompt: Callable[..., PromptResult],
) -> None:
    prompt = journey(put_input(clip), tiny)
    prompt["4"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}}
    prompt["2"]["inputs"]["video"] = ["4", 0]
    prompt["3"] = {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "t/image"}}
    assert len(run_prompt(prompt).files()) == len(PTS)


def test_frames_in_memory_are_saved_without_loss(
    clip: Path, server: ComfyServer, put_input: Callable[[Path], str], run_prompt: Callable[..., PromptResult]
) -> None:
    prompt: Prompt = {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": put_input(clip)}},
        "2": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["2", 0], "audio": ["2", 1], "fps": 25.0}},
        "4": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["3", 0], "filename_prefix": "t/memory"}},
    }
    path = saved(server, run_prompt(prompt))
    assert path.suffix == ".mkv"
    assert len(packets(path, "video")) == len(PTS)
    assert len(packets(path, "audio")) > 0


def test_cancelling_stops_within_a_frame_and_leaves_nothing(
    server: ComfyServer, client: ComfyClient, phone_clip: Path, tmp_path: Path
) -> None:
    done: list[float] = []

    def cancel(event: Event) -> None:
        for node, frames, _ in node_progress(event):
            if node == "2" and frames:
                done.append(frames)
                if len(done) == 1:
                    client.interrupt()

    folder = server.base / "temp" / "textovsr"
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    prompt = held(journey(phone_clip.name, "textovsr-lite"), "2", 1, tmp_path / "never")
    result = client.run(prompt, on_event=cancel)
    assert result.status == "interrupted"
    assert done[-1] < 41, "it went on to the last frame"
    assert set(folder.iterdir()) <= before, "results of others may go meanwhile"


def test_an_unchanged_file_is_not_upscaled_again(
    clip: Path, tiny: str, put_input: Callable[[Path], str], run_prompt: Callable[..., PromptResult]
) -> None:
    prompt = journey(put_input(clip), tiny, caption="once")
    run_prompt(prompt)
    prompt["3"]["inputs"]["filename_prefix"] = "t/again"
    assert run_prompt(prompt).progress("2") == []
    clip.write_bytes(clip.read_bytes() + b"\0" * 8)
    put_input(clip)
    prompt["3"]["inputs"]["filename_prefix"] = "t/changed"
    assert run_prompt(prompt).progress("2") != []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"not a video at all", "FFmpeg cannot open"),
        ("empty.mp4", b"", "is empty"),
    ],
)
def test_a_file_that_is_no_video_is_named(
    name: str,
    content: bytes,
    message: str,
    tmp_path: Path,
    tiny: str,
    client: ComfyClient,
    put_input: Callable[[Path], str],
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    result = client.run(journey(put_input(file), tiny))
    assert result.error is not None
    assert message in result.error["exception_message"]
    assert name in result.error["exception_message"]


@pytest.mark.parametrize("file", ["missing.mp4", "../../etc/passwd", "/etc/passwd"])
def test_a_missing_or_foreign_path_is_refused_before_the_run(file: str, tiny: str, client: ComfyClient) -> None:
    with pytest.raises(PromptRejectedError, match="Expected a video"):
        client.submit(journey(file, tiny))


def test_truncated_weights_are_named(
    clip: Path, tiny: str, server: ComfyServer, client: ComfyClient, put_input: Callable[[Path], str]
) -> None:
    whole = server.base / "models" / "textovsr" / tiny
    (whole.parent / "cut.safetensors").write_bytes(whole.read_bytes()[:5000])
    result = client.run(journey(put_input(clip), "cut.safetensors"))
    assert result.error is not None
    assert "cut.safetensors" in result.error["exception_message"]
    assert "download it again" in result.error["exception_message"]


def test_the_dial_goes_to_the_other_end(
    clip: Path,
    tiny: str,
    server: ComfyServer,
    client: ComfyClient,
    put_input: Callable[[Path], str],
    run_prompt: Callable[..., PromptResult],
) -> None:
    name, weights = put_input(clip), save_tiny(server.base / "models" / "textovsr" / f"dial-{tiny}")
    alone = client.run(journey(name, weights.name, fidelity=0.0))
    assert alone.error is not None
    assert "set the fidelity to 1" in alone.error["exception_message"]
    add_detail_end(weights)
    ends = [saved(server, run_prompt(journey(name, weights.name, fidelity=share))) for share in (0.0, 1.0)]
    assert packets(ends[0], "video") != packets(ends[1], "video")


def test_the_host_can_free_the_network(
    clip: Path,
    tiny: str,
    client: ComfyClient,
    put_input: Callable[[Path], str],
    run_prompt: Callable[..., PromptResult],
) -> None:
    name = put_input(clip)
    run_prompt(journey(name, tiny, caption="before"))
    client.free()
    run_prompt(journey(name, tiny, caption="after"))
