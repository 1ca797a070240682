"""What measuring costs: the quality report measure by measure, CLIP-IQA, and memory over the length of a video.

``python benchmarks/report.py [time] [memory]`` prints the tables that are named, or both: some minutes on 2 cores.
CLIP is RN50 in its published sizes with random weights: they cost what the published ones do. The processor's time is
told beside the clock's: on a machine that does other things, it is the one to believe; set OMP_WAIT_POLICY=passive, as
the command line does, or threads that wait count as work.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import torch
from common import machine, table

from textovsr.core.job import Source
from textovsr.core.quality.clip_iqa import ClipIqa
from textovsr.core.quality.clip_scores import score_source
from textovsr.core.quality.flow import find_flow
from textovsr.core.quality.measures import MEASURES
from textovsr.core.quality.meters import FLOW_SIDE, Moment, Pictures, make_meters
from textovsr.core.quality.report import Compared, ReportConfig, make_report
from textovsr.core.quality.temporal import Motion, find_motion_small
from textovsr.core.quality.vmaf import MODELS, VmafMeter, find_ffmpeg
from textovsr.core.video.source import silence_ffmpeg

SIZES = ((320, 180), (1280, 720))
THREADS = (1, 2)
FRAMES = 3
RATE = 25
SECONDS = (10, 60)
_RELATIVE = "warping_relative"  # costs next to nothing beside ``warping``, which it is measured with
_PEAK = 2**-20 if sys.platform == "darwin" else 2**-10  # ru_maxrss, bytes or kilobytes, to MB


def clip_rn50() -> ClipIqa:
    """CLIP-IQA with RN50 of random weights."""
    import open_clip

    torch.manual_seed(0)
    network = open_clip.create_model("RN50-quickgelu", pretrained=None)
    return ClipIqa(network.state_dict())


def moments(size: tuple[int, int]) -> list[Moment]:
    """A texture with noise that moves two pixels a frame, against the texture."""
    width, height = size
    generator = torch.Generator().manual_seed(0)
    wide = torch.rand(3, height // 4 + 1, width // 4 + 8, generator=generator)
    wide = torch.nn.functional.interpolate(wide[None], scale_factor=4, mode="bicubic")[0].clamp(0, 1)

    def pictures(number: int) -> Pictures:
        true = wide[:, :height, 2 * number : 2 * number + width]
        return Pictures((true + 0.03 * torch.randn(true.shape, generator=generator)).clamp(0, 1), true)

    shown = [pictures(number) for number in range(FRAMES + 2)]
    return [Moment(shown[n], (shown[n - 2], shown[n - 1])) for n in range(2, FRAMES + 2)]


def timed(work: Callable[[Moment], object], at: list[Moment]) -> tuple[float, float]:
    """Milliseconds of the quickest frame: the clock's, and of the processor."""
    found = []
    for moment in at:
        clock, processor = time.perf_counter(), time.process_time()
        work(moment)
        found.append((time.perf_counter() - clock, time.process_time() - processor))
    quickest = [1000 * min(column) for column in zip(*found, strict=True)]
    return quickest[0], quickest[1]


def vmaf_cost(at: list[Moment], names: tuple[str, ...]) -> tuple[float, float]:
    """The same for FFmpeg, which runs beside us: both of its models."""
    many = at * 5
    clock, children = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with VmafMeter(find_ffmpeg(), names) as meter:
        for moment in many:
            assert moment.now.reference is not None
            meter.add(moment.now.image, moment.now.reference)
        list(meter.finish())
    processor = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - children
    return 1000 * (time.perf_counter() - clock) / len(many), 1000 * processor / len(many)


def costs(size: tuple[int, int], clip: ClipIqa) -> Iterator[tuple[str, tuple[float, float]]]:
    """Name and cost of every measure."""
    at, device = moments(size), torch.device("cpu")

    def follow(moment: Moment) -> Motion:
        return find_motion_small(moment.before[-1].image[None], moment.now.image[None], find_flow, FLOW_SIDE)

    for measure in MEASURES.values():
        if measure.name in MODELS or measure.name == _RELATIVE:
            continue
        meters = make_meters([measure], [size, size], lambda size: clip, device, asked=False)
        yield measure.title, timed(meters.measure, at)
    yield "of it, the flow there and back", timed(follow, at)
    yield "VMAF and VMAF-NEG", vmaf_cost(at, tuple(MODELS))


def write_times() -> None:
    """A row a measure, a column a size and number of threads."""
    clip = clip_rn50()
    rows: dict[str, list[str]] = {}
    for size in SIZES:
        for threads in THREADS:
            torch.set_num_threads(threads)
            for name, (clock, processor) in costs(size, clip):
                rows.setdefault(name, [name]).append(f"{clock:.0f} ({processor:.0f})")
    head = [
        f"{width}x{height}, {threads} thread{'s' * (threads > 1)}" for width, height in SIZES for threads in THREADS
    ]
    table(["ms a frame, in brackets of the processor", *head], list(rows.values()))


def write_film(path: Path, seconds: int) -> Path:
    """A texture that wanders, 320x180."""
    width, height = SIZES[0]
    texture = np.random.default_rng(0).integers(40, 215, (height // 4, width // 2, 3)).repeat(4, 0).repeat(4, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(seconds * RATE):
            image = np.ascontiguousarray(texture[:height, number % width : number % width + width], np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def peak(kind: str, film: Path) -> None:
    """In a process of its own: print its peak memory in MB."""
    torch.set_num_threads(1)
    if kind == "report":
        quick = tuple(name for name in MEASURES if name not in ("warping", _RELATIVE, "brisque", "niqe", "clip_iqa"))
        make_report(Compared(Source(film), Source(film)), ReportConfig(metrics=quick, device="cpu"))
    elif kind == "warping and CLIP-IQA, 1 frame in 25":
        config = ReportConfig(metrics=("warping", "clip_iqa", "niqe"), every=RATE, device="cpu")
        clip = clip_rn50()
        make_report(Compared(Source(film)), config, clip=lambda size: clip)
    else:
        network = ClipIqa(_small_clip())
        score_source(Source(film), network)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK:.0f}")


def _small_clip() -> dict[str, torch.Tensor]:
    from textovsr.tests.helpers.clip import small_clip

    return small_clip()


KINDS = ("report", "warping and CLIP-IQA, 1 frame in 25", "CLIP-IQA Score, a small network")


def write_memory() -> None:
    """Peak memory of a process over the length of a video."""
    with tempfile.TemporaryDirectory() as folder:
        films = [write_film(Path(folder) / f"{seconds}.mp4", seconds) for seconds in SECONDS]
        rows = []
        for kind in KINDS:
            found = []
            for film in films:
                command = [sys.executable, __file__, "--peak", kind, str(film)]
                found.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
            rows.append([kind, *found])
        table(["peak memory of the process in MB", *(f"{seconds} s of 320x180" for seconds in SECONDS)], rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", choices=("time", "memory", []), default=[])
    parser.add_argument("--peak", nargs=2, metavar=("KIND", "FILM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    silence_ffmpeg()
    if options.peak:
        peak(options.peak[0], Path(options.peak[1]))
        return
    print(machine(), f"load {os.getloadavg()[0]:.1f}\n")
    if not options.tables or "time" in options.tables:
        write_times()
    if not options.tables or "memory" in options.tables:
        write_memory()


if __name__ == "__main__":
    main()
