"""Precision, frames prepared together, and compiled code: the same picture, on a CPU where that can be run."""

import logging
import math
from collections.abc import ItemsView, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from textovsr.core.config import RecurrentConfig
from textovsr.core.errors import SettingError
from textovsr.core.lane import Lane
from textovsr.core.restoration import Restoration, Result, ShotFrame
from textovsr.core.restorer import PromptedFrame
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.restorers.text_ovsr_fast import Fast
from textovsr.core.video.reader import VideoReader
from textovsr.core.windows import Window, slide
from textovsr.models.catalog import find_weights
from textovsr.models.registry import load_network
from textovsr.models.text_ovsr import TextOVSR
from textovsr.tests.helpers.networks import tiny_network

CPU = torch.device("cpu")
ENOUGH = 1 << 34


def make(network: TextOVSR | None = None, **settings: object) -> TextOVSRRestorer:
    return TextOVSRRestorer(network or tiny_network(), RecurrentConfig(**settings), CPU, ENOUGH)  # type: ignore[arg-type]


def clip(frames: int, height: int = 64, width: int = 70) -> Tensor:
    generator = torch.Generator().manual_seed(frames * height * width)
    coarse = torch.rand(frames, 3, height // 4 + 1, width // 4 + 1, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bilinear")


def stream(restorer: TextOVSRRestorer, frames: Tensor, batches: tuple[int, int] = (1, 1)) -> Tensor:
    plan = replace(restorer.plan(frames.shape[-2], frames.shape[-1]), batches=batches)
    shot = restorer.open_shot(frames.shape[-2], frames.shape[-1], plan)
    windows = slide([PromptedFrame(image) for image in frames], plan)
    return torch.stack([image.float() for window in windows for image in shot.restore(window, lambda: None)])


@pytest.mark.parametrize("look_ahead", [0, 2])
def test_frames_prepared_together_are_those_prepared_alone(look_ahead: int) -> None:
    """Windows that are no multiple of it, the first frame of a shot, and windows after it."""
    lr = clip(7)
    alone = stream(make(window=3, look_ahead=look_ahead), lr)
    for together in (2, 8):
        found = stream(make(window=3, look_ahead=look_ahead), lr, (1, together))
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-5)


def test_frames_prepared_together_are_always_as_many() -> None:
    """One shape for everything that is compiled or recorded, and one choice of kernels."""
    restorer, sizes = make(window=3, look_ahead=2), []
    restorer.network.basicvsr.frame_extractor.register_forward_hook(lambda _, given, __: sizes.append(given[0].shape))
    stream(restorer, clip(7), (1, 4))
    assert set(sizes) == {(4, 3, 64, 70)}


def test_tiles_computed_together_are_those_computed_alone() -> None:
    """In the recurrence every tile has its own piece of the state."""
    lr = clip(3, 66, 90)
    restorer, sizes = make(window=2, look_ahead=1, tile=24), []
    alone = stream(restorer, lr)
    core = restorer.network.basicvsr
    for layer in (core.forward_resblocks_layer10_po, core.fusion, restorer.network.image_cleaning[0]):
        layer.register_forward_hook(lambda _, given, __: sizes.append(len(given[0])))
    torch.testing.assert_close(stream(restorer, lr, (4, 3)), alone, rtol=0, atol=1e-5)
    assert sorted(set(sizes)) == [2, 4]  # four corners, of two and two; so many upper and lower edges; pairs else


def test_memory_that_runs_out_costs_the_batches_first() -> None:
    """A layer that has no room for more than two frames; the picture stays."""
    lr, restorer = clip(5), make(window=3, look_ahead=2)
    frames = [ShotFrame(image) for image in lr]

    def cramped(_: object, given: tuple[Tensor]) -> None:
        if len(given[0]) > 2:
            raise torch.OutOfMemoryError("out of memory")

    expected = stream(restorer, lr)
    restorer.network.basicvsr.frame_extractor.register_forward_pre_hook(cramped)
    plan, told = replace(restorer.plan(64, 70), batches=(1, 8)), []
    items = list(Restoration(restorer, plan, lambda: None, told.append, ()).run(frames))
    found = torch.stack([item.image for item in items if isinstance(item, Result)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert [sentence.rsplit(", ")[-1] for sentence in told] == ["1 and 4 at once.", "1 and 2 at once."]


def test_a_card_is_filled_and_its_memory_kept() -> None:
    """Small frames and small tiles are put together, as memory permits; on a CPU only tiny tiles."""
    meta = torch.device("meta")

    def batches(device: torch.device, memory: int, size: tuple[int, int], tile: int = 0) -> tuple[int, ...]:
        config = RecurrentConfig(tile=tile)
        restorer = TextOVSRRestorer(tiny_network(channels=64).to(device), config, device, memory, torch.float16)
        return restorer.plan(*size).batches

    assert batches(meta, 1 << 36, (360, 640)) == (1, 4)
    assert batches(meta, 1 << 36, (1080, 1920)) == (1, 1)
    assert batches(meta, 1 << 36, (1080, 1920), tile=128) == (8, 8)
    assert batches(meta, 1 << 33, (360, 640), tile=128) == (8, 8)
    assert batches(meta, 1 << 30, (360, 640), tile=128) == (1, 4)
    assert batches(meta, 1 << 28, (360, 640)) == (1, 1)
    assert batches(CPU, 1 << 36, (360, 640)) == (1, 1)
    assert batches(CPU, 1 << 36, (360, 640), tile=16) == (8, 1)


def test_a_state_goes_on_in_another_shot() -> None:
    restorer, frames = make(window=2, look_ahead=1), [PromptedFrame(image) for image in clip(6)]
    plan = replace(restorer.plan(64, 70), batches=(1, 2))
    first = restorer.open_shot(64, 70, plan)
    found = []
    for window in slide(frames, plan):
        again = restorer.open_shot(64, 70, plan)
        again.load_state(first.state())
        found.append((list(first.restore(window, lambda: None)), list(again.restore(window, lambda: None))))
    for expected, resumed in found:
        assert all(torch.equal(a, b) for a, b in zip(expected, resumed, strict=True))


def test_a_state_is_brought_to_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the lane's memory: what lies in another stream's may be given away before the lane has read it."""
    inside: list[bool] = []

    @contextmanager
    def working(_: Lane) -> Iterator[None]:
        inside.append(True)
        yield
        inside.pop()

    class State(dict[str, Tensor]):
        def items(self) -> ItemsView[str, Tensor]:
            assert inside
            return super().items()

    restorer = make(window=1, look_ahead=0)
    shots = [restorer.open_shot(64, 70, restorer.plan(64, 70)) for _ in range(2)]
    list(shots[0].restore(Window(0, (PromptedFrame(clip(1)[0]),), 1, last=False), lambda: None))
    monkeypatch.setattr(Lane, "working", working)
    shots[1].load_state(State(shots[0].state()))
    assert shots[1].state().keys() == shots[0].state().keys()


def test_compiled_code_gives_the_same_picture() -> None:
    """Graphs are left out where there is no CUDA."""
    lr = clip(4)
    restorer = make(window=2, look_ahead=1, tile=64)
    expected = stream(restorer, lr)
    restorer._fast = Fast("both", CPU, backend="eager")
    assert restorer._fast.active
    torch.testing.assert_close(stream(restorer, lr), expected, rtol=0, atol=1e-5)
    assert len(restorer._fast._made) == 7  # prepare, backward and forward, each with and without a past; reconstruct
    restorer.open_shot(64, 70, replace(restorer.plan(64, 70), batches=(1, 2)))
    assert not restorer._fast._made


@pytest.mark.slow
def test_code_of_the_inductor_gives_the_same_picture() -> None:
    lr = clip(4)
    restorer = make(window=2, look_ahead=1, speedup="compile")
    found = stream(restorer, lr)
    assert restorer._fast.active
    torch.testing.assert_close(found, stream(make(window=2, look_ahead=1), lr), rtol=0, atol=1e-4)


def test_without_a_compiler_the_work_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no compiler\nand more")

    restorer, lr = make(window=2, look_ahead=1), clip(3)
    expected = stream(restorer, lr)
    restorer._fast = Fast("compile", CPU, backend=fails)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        found = stream(restorer, lr)
    assert torch.equal(found, expected)
    assert not restorer._fast.active
    assert [
        record.getMessage() for record in caplog.records if "torch.compile does not work here" in record.getMessage()
    ]


def test_a_recording_copies_in_and_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CUDA, a stand-in for its graphs computes again where they would replay; tests/gpu has the real ones."""
    calls: list[str] = []

    def function(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        calls.append("computed")
        return x + y, x * y

    class Graph:
        def replay(self) -> None:
            (made,) = fast._made.values()
            for kept, new in zip(made._outputs, function(*made._inputs), strict=True):  # type: ignore[attr-defined]
                kept.copy_(new)

    def graph(graph: Graph, pool: object, stream: str, capture_error_mode: str) -> AbstractContextManager[None]:
        assert (stream, capture_error_mode) == ("the lane's", "thread_local")
        return nullcontext()

    stand_ins = {
        "current_stream": lambda: "the lane's",
        "graph_pool_handle": object,
        "CUDAGraph": Graph,
        "graph": graph,
    }
    for name, value in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, value)
    fast = Fast("graphs", torch.device("cuda"))
    one, two = torch.ones(3), torch.full((3,), 2.0)
    first, second = fast.run("name", function, one, two), fast.run("name", function, two, two)
    assert [float(x[0]) for x in (*first, *second)] == [3, 2, 4, 4]
    assert calls == ["computed"] * 5  # twice to warm up, once recorded, two replays
    assert [float(x[0]) for x in (one, two)] == [1, 2]


def test_memory_that_runs_out_while_compiling_is_no_missing_compiler() -> None:
    def function(x: Tensor) -> tuple[Tensor, ...]:
        raise torch.cuda.OutOfMemoryError("out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        Fast("compile", CPU, backend="eager").run("name", function, torch.zeros(1))


@pytest.mark.parametrize(("precision", "dtype"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_precision_is_as_asked_for(precision: str, dtype: torch.dtype) -> None:
    restorer = make(precision=precision)
    assert restorer.dtype == dtype
    assert {value.dtype for value in restorer.network.parameters()} == {dtype}


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(SettingError, match="Expected a precision out of auto, float32, float16, bfloat16, got 'int4'"):
        make(precision="int4")


def test_an_identity_names_what_changes_the_picture() -> None:
    plain = make().identity
    assert plain == make(window=3, tile=64).identity == make(precision="float32").identity
    assert plain.endswith(
        " RecurrentConfig(cleaning_threshold=255.0, window=0, look_ahead=None, tile=0, fade=4) cpu torch.float32"
    )
    assert len({plain, make(precision="bfloat16").identity, make(speedup="compile").identity}) == 3


class HalfConvolutions(TorchDispatchMode):
    """Convolutions of halves as a graphics card computes them: exact products and sums, then rounded."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func is torch.ops.aten.convolution.default and args[0].dtype == torch.float16:
            single = [x.float() if isinstance(x, Tensor) else x for x in args]
            return func(*single).half()
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def footage(phone_clip: Path) -> Tensor:
    """64 frames of real footage, there and back."""
    with VideoReader(phone_clip) as reader:
        frames = [frame.image[:, 60:124, 120:184].contiguous() for frame in reader]
    return torch.stack((frames + frames[-2:0:-1])[:64])


@pytest.mark.parametrize(
    ("precision", "frames"),
    [("float16", 6), *(pytest.param(name, 64, marks=pytest.mark.slow) for name in ("float16", "bfloat16"))],
)
def test_half_precision_does_not_drift(precision: str, frames: int, footage: Tensor) -> None:
    """All frames in one state: within 60 dB of single precision, the last ones as the first."""

    def run(precision: str) -> Tensor:
        network = load_network(find_weights("textovsr-lite", []))
        assert isinstance(network, TextOVSR)
        with HalfConvolutions():
            return stream(make(network, precision=precision, window=4, look_ahead=2), footage[:frames]).clamp(0, 1)

    errors = (run(precision) - run("float32")).square().mean(dim=(1, 2, 3)).tolist()
    decibels = [-10 * math.log10(error) for error in errors]
    assert min(decibels) > 60
    assert sum(decibels[-3:]) > sum(decibels[:3]) - 3
