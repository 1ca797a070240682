"""On a CUDA GPU (``pytest -m gpu tests/gpu``): speed changes nothing that can be seen, and memory stays as planned."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.codec.hwaccel import HWAccel
from torch import Tensor

from textovsr.core.config import EncodeConfig, RecurrentConfig
from textovsr.core.device import memory_budget
from textovsr.core.errors import EncoderError
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import restore_video
from textovsr.core.restorer import PromptedFrame
from textovsr.core.restorers.loading import make_restorer
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.video.color import BT709, ColorTags, from_rgb
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.planes import pixel_layout, samples
from textovsr.core.video.reader import VideoReader
from textovsr.core.video.writer import VideoWriter
from textovsr.core.windows import slide
from textovsr.models.catalog import find_weights
from textovsr.models.registry import load_network

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SDR = ColorTags(BT709, BT709, 1, False)
CARD = 4_000_000_000


def make(device: torch.device, memory: int = 0, name: str = "textovsr-lite", **settings: object) -> TextOVSRRestorer:
    network = load_network(find_weights(name, []))
    config = RecurrentConfig(**settings)  # type: ignore[arg-type]
    restorer = make_restorer(network, config, device, memory or memory_budget(device))
    assert isinstance(restorer, TextOVSRRestorer)
    return restorer


def stream(restorer: TextOVSRRestorer, frames: Tensor) -> Tensor:
    plan = restorer.plan(frames.shape[-2], frames.shape[-1])
    shot = restorer.open_shot(frames.shape[-2], frames.shape[-1], plan)
    windows = slide([PromptedFrame(image) for image in frames], plan)
    return torch.stack([image.float().cpu() for window in windows for image in shot.restore(window, lambda: None)])


def decibels(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a.clamp(0, 1) - b.clamp(0, 1)).square().mean(dim=(1, 2, 3)).max()))


@pytest.fixture(scope="module")
def footage(phone_clip: Path) -> Tensor:
    with VideoReader(phone_clip) as reader:
        return torch.stack([frame.image[:, :120, :160] for frame in reader])[:20]


@pytest.fixture(scope="module")
def single(footage: Tensor) -> Tensor:
    return stream(make(CPU, window=8, look_ahead=4), footage)


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
@pytest.mark.parametrize("speedup", ["none", "graphs", "compile", "both"])
def test_the_picture_is_that_of_the_cpu(footage: Tensor, single: Tensor, precision: str, speedup: str) -> None:
    restorer = make(CUDA, window=8, look_ahead=4, precision=precision, speedup=speedup)
    found = stream(restorer, footage)
    assert restorer._fast.active == (speedup != "none")
    assert decibels(found, single) > (40 if precision == "bfloat16" else 50)


@pytest.mark.parametrize("speedup", ["none", "both"])
def test_two_runs_are_one(footage: Tensor, speedup: str) -> None:
    first, second = (stream(make(CUDA, window=8, look_ahead=4, speedup=speedup), footage) for _ in range(2))
    assert torch.equal(first, second)


def test_a_state_goes_on_in_another_shot(footage: Tensor) -> None:
    restorer = make(CUDA, window=4, look_ahead=2)
    plan = restorer.plan(120, 160)
    shot = restorer.open_shot(120, 160, plan)
    for window in slide([PromptedFrame(image) for image in footage], plan):
        again = restorer.open_shot(120, 160, plan)
        again.load_state({name: value.cpu() for name, value in shot.state().items()})
        pairs = zip(shot.restore(window, lambda: None), again.restore(window, lambda: None), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_results_stay_on_the_card_where_there_is_room(footage: Tensor) -> None:
    for memory, kept in ((1 << 34, True), (1 << 24, False)):
        restorer = make(CUDA, memory, window=2, look_ahead=1)
        assert restorer.keeps_results(120, 160) == kept
        shot = restorer.open_shot(120, 160, restorer.plan(120, 160))
        window = next(slide([PromptedFrame(image) for image in footage[:4]], restorer.plan(120, 160)))
        assert {image.is_cuda for image in shot.restore(window, lambda: None)} == {kept}


@pytest.mark.parametrize("name", ["textovsr-base", "textovsr-lite"])
def test_1080p_needs_less_than_4_gb(name: str) -> None:
    frames = torch.rand(1, 3, 1080, 1920).expand(6, -1, -1, -1)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    restorer = make(CUDA, int(0.8 * CARD), name=name, window=2)
    plan = restorer.plan(1080, 1920)
    shot = restorer.open_shot(1080, 1920, plan)
    for window in slide([PromptedFrame(image) for image in frames], plan):
        for _ in shot.restore(window, lambda: None):
            pass
    assert torch.cuda.max_memory_reserved() < CARD


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p"])
def test_samples_made_on_the_card_are_those_of_the_cpu(pix_fmt: str) -> None:
    image = torch.rand(3, 360, 640)
    one, other = from_rgb(image, pix_fmt, SDR), from_rgb(image.cuda(), pix_fmt, SDR)
    bits = pixel_layout(pix_fmt).bits
    for index in range(3):
        a, b = (samples(frame, index, bits).astype(int) for frame in (one, other))
        assert abs(a - b).max() <= 1
        assert (a != b).mean() < 1e-4


@pytest.mark.parametrize("scale", [2, 4])
def test_a_whole_video(phone_clip: Path, tmp_path: Path, scale: int) -> None:
    from textovsr.core.config import ResultConfig

    job = Job(result=ResultConfig(scale=scale, color_fix="wavelet"), encode=EncodeConfig(preset="ultrafast"))
    done = restore_video(Source(phone_clip), make(CUDA), tmp_path / "out.mp4", job, lambda _: None)
    with VideoReader(done.path) as result, VideoReader(phone_clip) as source:
        assert len(list(result.times())) == len(list(source.times())) == done.frames


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_nvenc_keeps_every_frame_and_its_time(tmp_path: Path, codec: str, depth: int) -> None:
    spec = VideoSpec(640, 360, Fraction(1, 1000), Fraction(30), Fraction(1), SDR, bit_depth=depth)
    times = [0, 33, 66, 120, 121, 400]
    try:
        writer = VideoWriter(tmp_path / "out.mp4", spec, EncodeConfig(codec=codec, hardware=True, bit_depth=depth))  # type: ignore[arg-type]
    except EncoderError as error:
        pytest.skip(str(error))
    image = torch.linspace(0, 1, 640).expand(3, 360, 640)
    with writer:
        for pts in times:
            writer.write(image.cuda(), pts)
    with VideoReader(tmp_path / "out.mp4") as reader:
        found = list(reader)
        assert [round(float(frame.pts * reader.info.time_base) * 1000) for frame in found] == times
    assert all(float((frame.image - image).square().mean()) < 1e-4 for frame in found)


def test_nvdec_gives_the_samples_of_the_software(phone_clip: Path) -> None:
    """What has to hold before frames may be decoded in hardware; nothing does so yet."""
    with av.open(str(phone_clip)) as container:
        expected = [(frame.pts, frame.to_ndarray(format="yuv420p")) for frame in container.decode(video=0)]
    try:
        container = av.open(str(phone_clip), hwaccel=HWAccel("cuda", allow_software_fallback=False))
    except (av.error.FFmpegError, RuntimeError, NotImplementedError) as error:
        pytest.skip(f"no decoder in hardware: {error}")
    with container:
        found = [(frame.pts, frame.to_ndarray(format="yuv420p")) for frame in container.decode(video=0)]
    assert [pts for pts, _ in found] == [pts for pts, _ in expected]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(found, expected, strict=True))
