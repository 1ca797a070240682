"""What the engine costs: time a frame against plain PyAV, overlap of its stages, memory over the length of a video.

``python benchmarks/engine.py [cost] [overlap] [memory] [hour] [resume]`` prints the tables that are named, or all. The
first two and the last take a minute or two on 2 cores; ``memory`` (ten minutes of video through the command line and
through ComfyUI, with a tiny network) takes half an hour, ``hour`` (an hour of video, no network) a quarter of one.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import psutil
import torch
from common import machine, read_clip, table
from torch import Tensor

from textovsr.core.config import EncodeConfig, ResultConfig
from textovsr.core.job import Job, Source
from textovsr.core.journal import read_lines
from textovsr.core.pipeline import job_folder, restore_video
from textovsr.core.restorer import PromptedFrame
from textovsr.core.tiles import Check
from textovsr.core.video.encoders import spec_like
from textovsr.core.video.reader import VideoReader
from textovsr.core.video.source import silence_ffmpeg
from textovsr.core.video.writer import VideoWriter
from textovsr.core.windows import Window, WindowPlan
from textovsr.tests.helpers.networks import save_tiny

ROOT = Path(__file__).parent.parent
RATE = 25
SLOW_RATE = 5
"""Frames a second of the ten minutes that a network works on, so that they take a quarter of an hour."""
SAMPLE_SECONDS = 0.5


class Identity:
    """Gives every frame back as it is, after ``seconds`` of waiting, as for a GPU."""

    scale = 1
    identity = "identity"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def plan(self, height: int, width: int) -> WindowPlan:
        """Windows of 8 frames."""
        return WindowPlan(8)

    def open_shot(self, height: int, width: int, plan: WindowPlan) -> "Identity":
        """There is no state."""
        return self

    def restore(self, window: Window[PromptedFrame], check: Check) -> Iterator[Tensor]:
        """The frames that came in."""
        for item in window.items[: window.kept]:
            if self.seconds:
                time.sleep(self.seconds)
            yield item.image

    def state(self) -> Mapping[str, Tensor]:
        """None."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to load."""


def make_video(path: Path, frames: int, height: int, width: int, rate: int = RATE) -> Path:
    """Real footage (24 frames of the validation clip, mirrored until the frame is full, to and fro), H.264."""
    silence_ffmpeg()
    real = read_clip("vtest_hr", 24)
    wide = torch.cat([real, real.flip(3), real], dim=3)
    pictures = torch.cat([wide, wide.flip(2)], dim=2)[..., :height, :width]
    pictures = torch.cat([pictures, pictures.flip(0)[1:-1]])
    stored = (pictures * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()  # (T,C,H,W) -> (T,H,W,C)
    cached = [av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p") for picture in stored]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            frame = cached[index % len(cached)]
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def plain(source: Path, output: Path, *, rgb: bool = False) -> None:
    """Decode and encode with PyAV and nothing else, with the engine's own encoder settings.

    Args:
        source: what to read.
        output: what to write.
        rgb: by way of float RGB tensors, as a network takes and gives them, through 8-bit RGB.
    """
    silence_ffmpeg()
    with av.open(str(source)) as reading, av.open(str(output), "w") as writing:
        pictures = reading.streams.video[0]
        pictures.thread_type = "AUTO"
        stream = writing.add_stream("libx264", rate=RATE, options={"crf": str(EncodeConfig.crf), "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = pictures.width, pictures.height, "yuv420p"
        stream.thread_type = "AUTO"
        for frame in reading.decode(pictures):
            if rgb:
                tensor = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1).float().div_(255)
                tensor = tensor.mul(255).round_().clamp_(0, 255).byte().permute(1, 2, 0)  # (C,H,W) -> (H,W,C)
                picture = av.VideoFrame.from_ndarray(tensor.contiguous().numpy(), format="rgb24")
                picture.pts, picture.time_base, frame = frame.pts, frame.time_base, picture
            frame.pict_type = 0
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode(None))


def engine(source: Path, output: Path, height: int, seconds: float = 0.0) -> None:
    """The whole engine around a restorer that does nothing."""
    job = Job(result=ResultConfig(height=height))
    restore_video(Source(source), Identity(seconds), output, job, lambda _: None)


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def print_cost(folder: Path) -> None:
    """Time a frame against plain PyAV; both turn about, the best of three."""
    rows = []
    for height, width, frames in ((180, 320, 3000), (360, 640, 1500), (720, 1280, 500)):
        source = make_video(folder / f"{height}.mp4", frames, height, width)
        ways = (
            lambda s=source: plain(s, folder / "plain.mp4"),
            lambda s=source: plain(s, folder / "rgb.mp4", rgb=True),
            lambda s=source, h=height: engine(s, folder / "engine.mp4", h),
        )
        runs = [[timed(way) for way in ways] for _ in range(3)]
        bare, rgb, ours = (min(times) / frames * 1000 for times in zip(*runs, strict=True))
        times = [f"{time:.1f}" for time in (bare, rgb, ours)]
        rows.append([f"{width}x{height}", *times, f"{ours / bare:.2f}", f"{ours / rgb:.2f}"])
    heads = ("size", "PyAV, ms a frame", "PyAV by way of RGB, ms", "engine, ms", "engine / PyAV", "engine / RGB")
    table(heads, rows)


def print_overlap(folder: Path) -> None:
    """Wall time against the slowest stage, measured apart; the restorer waits as for a GPU."""
    source, count = make_video(folder / "overlap.mp4", 500, 360, 640), 500
    torch.set_num_threads(1)  # as a stage computes
    with VideoReader(source) as reader:
        decode = timed(lambda: [None for _ in reader])
        frames = [frame for _, frame in zip(range(100), reader, strict=False)]
        spec = spec_like(reader.info, 640, 360)

    def encode() -> None:
        with VideoWriter(folder / "encode.mp4", spec, EncodeConfig()) as writer:
            for index in range(count):
                frame = frames[index % 100]
                writer.write(frame.image, index * (frames[1].pts - frames[0].pts))

    encoding = timed(encode)
    rows = []
    for seconds in (0.003, 0.02, 0.05):
        compute = count * seconds
        together = timed(lambda s=seconds: engine(source, folder / "overlap_out.mp4", 360, s))
        slowest = max(decode, compute, encoding)
        times = [f"{1000 * t / count:.1f}" for t in (decode, compute, encoding, together)]
        rows.append([*times, f"{together / slowest:.2f}"])
    table(("decode, ms", "compute (waiting), ms", "encode, ms", "all together, ms", "of the slowest"), rows)


def rss_of(process: psutil.Popen, done: Callable[[], bool]) -> list[tuple[float, float]]:
    """Seconds and RSS in MB, until a process has done its work."""
    samples, began = [], time.monotonic()
    while not done():
        try:
            samples.append((time.monotonic() - began, process.memory_info().rss / 1e6))
        except psutil.NoSuchProcess:
            break
        time.sleep(SAMPLE_SECONDS)
    return samples


def by_command(source: Path, folder: Path, weights: Path) -> float:
    """Peak RSS of ``textovsr upscale`` in MB."""
    command = [sys.executable, "-m", "textovsr", "upscale", str(source), str(folder / "out.mp4"), "--overwrite"]
    command += ["--weights", str(weights), "--quiet", "--height", "180"]
    process = psutil.Popen(command)
    return max(rss for _, rss in rss_of(process, lambda: process.poll() is not None))


def by_node(source: Path, folder: Path, weights: Path) -> float:
    """Peak RSS in MB of a ComfyUI server that runs the node."""
    from textovsr.tools.comfy_client import ComfyClient
    from textovsr.tools.comfy_server import comfy_server, prepare_base

    base = prepare_base(folder / f"base-{source.stem}", ROOT, [source])
    (base / "models" / "textovsr").mkdir(parents=True, exist_ok=True)
    (base / "models" / "textovsr" / weights.name).write_bytes(weights.read_bytes())
    inputs: dict[str, Any] = {"video": ["1", 0], "weights": weights.name, "target_height": 180}
    prompt = {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": source.name}},
        "2": {"class_type": "OVSR_TextOVSRUpscale", "inputs": inputs},
        "3": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": "out"}},
    }
    comfyui = ROOT / ".textovsr" / "ComfyUI"
    with comfy_server(Path(sys.executable), comfyui, base, log=folder / "comfyui.log") as server:
        client = ComfyClient(server.address)
        outcome: list[str] = []
        running = threading.Thread(target=lambda: outcome.append(client.run(prompt, timeout=7200).status))
        running.start()
        samples = rss_of(psutil.Process(server.process.pid), lambda: not running.is_alive())
    assert outcome == ["success"], outcome
    return max(rss for _, rss in samples)


def print_memory(folder: Path) -> None:
    """Peak RSS for ten seconds and for ten minutes of the same video."""
    weights = save_tiny(folder / "tiny.safetensors", flow_levels=3)
    rows = []
    for name, measure in (("textovsr upscale", by_command), ("node in ComfyUI", by_node)):
        peaks = []
        for seconds in (10, 600):
            source = make_video(folder / f"{seconds}s.mp4", seconds * SLOW_RATE, 180, 320, SLOW_RATE)
            peaks.append(measure(source, folder, weights))
            print(f"{name}, {seconds} s: {peaks[-1]:.0f} MB", file=sys.stderr, flush=True)
        rows.append([name, *(f"{peak:.0f}" for peak in peaks), f"{peaks[1] - peaks[0]:+.0f}"])
    table((f"320x180, {SLOW_RATE} fps, tiny network", "10 s, peak MB", "10 min, peak MB", "difference"), rows)


def print_hour(folder: Path) -> None:
    """RSS over an hour of video through the identity restorer, decode and encode included."""
    source = make_video(folder / "hour.mp4", 3600 * RATE, 180, 320)
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); import engine;"
        "engine.engine(Path(sys.argv[1]), Path(sys.argv[2]), 180)"
    )
    process = psutil.Popen([sys.executable, "-c", script, str(source), str(folder / "o.mp4"), str(ROOT / "benchmarks")])
    samples = rss_of(process, lambda: process.poll() is not None)
    length = samples[-1][0]
    rows = []
    for share in (0.05, 0.1, 0.25, 0.5, 0.75, 0.95):
        rss = max(r for t, r in samples if abs(t - share * length) < 0.02 * length)
        rows.append([f"{60 * share:.0f}", f"{rss:.0f}"])
    rows.append(["whole run, peak", f"{max(r for _, r in samples):.0f}"])
    table((f"minute of the video ({length:.0f} s in all)", "RSS, MB"), rows)


def print_resume(folder: Path) -> None:
    """What a kill costs: seconds of work that the next run does again."""
    source = make_video(folder / "resume.mp4", 600, 180, 320)
    began = timed(lambda: engine(source, folder / "whole.mp4", 180, 0.01))
    output = folder / "killed.mp4"
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); import engine;"
        "engine.engine(Path(sys.argv[1]), Path(sys.argv[2]), 180, 0.01)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(source), str(output), str(ROOT / "benchmarks")])
    while len(read_lines(job_folder(output))) < 4:
        time.sleep(0.05)
    time.sleep(0.5)
    process.kill()
    process.wait()
    finished = sum(line["frames"] for line in read_lines(job_folder(output))[1:])
    again = timed(lambda: engine(source, output, 180, 0.01))
    rest = began * (600 - finished) / 600
    table(
        ("whole job, s", "finished at the kill", "to go on, s", "the rest's share, s"),
        [[f"{began:.1f}", f"{finished} of 600 frames", f"{again:.1f}", f"{rest:.1f}"]],
    )


PRINTERS = (print_cost, print_overlap, print_memory, print_hour, print_resume)
PARTS = {printer.__name__.removeprefix("print_"): printer for printer in PRINTERS}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[], metavar="PART", help=", ".join(PARTS))
    parts = parser.parse_args().parts or list(PARTS)
    torch.set_grad_enabled(False)
    print(f"{machine()}\n")
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[part](Path(folder))


if __name__ == "__main__":
    main()
