"""STAR's restorer over any shot: windows, memory, cancelling; with toys for networks."""

import itertools
from dataclasses import replace

import pytest
import torch

from textovsr.core.errors import CancelledError, OutOfMemoryError
from textovsr.core.journal import Pause
from textovsr.core.restoration import Result
from textovsr.core.restorers.star.config import StarConfig
from textovsr.core.windows import WindowPlan
from textovsr.tests.helpers.shots import WatchedParts, images
from textovsr.tests.helpers.star_shots import QUICK, clip, make_toy, run, start, toy_networks
from textovsr.tests.helpers.threads import one_thread  # noqa: F401 - a fixture

PUBLISHED = StarConfig.published()


@pytest.mark.parametrize("config", [QUICK, replace(QUICK, context=0, curve="cut")], ids=["ours", "cut"])
def test_work_goes_on_after_any_window_as_if_it_had_never_stopped(config: StarConfig) -> None:
    """It stops after every one, and a new restorer goes on with what was kept."""
    frames, found = clip(17, 24, 40), []
    pause: Pause | None = None
    while sum(isinstance(item, Result) for item in found) < 17:
        for item in start(frames, make_toy(config), pause):
            found.append(item)
            if isinstance(item, Pause):
                pause = item
                break
    assert sum(isinstance(item, Pause) for item in found) == 5
    torch.testing.assert_close(images(found), run(frames, config), rtol=0, atol=0)


def test_what_is_carried_is_small() -> None:
    """Latents of two frames ahead and of one before; after the last window nothing."""
    pauses = [item for item in start(clip(9), make_toy()) if isinstance(item, Pause)]
    shapes = {key: tuple(value.shape) for key, value in pauses[0].state.items()}
    assert shapes == {"ahead": (2, 4, 10, 8), "before": (1, 4, 10, 8)}
    assert pauses[-1].state == {}


@pytest.mark.parametrize("config", [StarConfig(steps=2), replace(PUBLISHED, steps=2)], ids=["ours", "published"])
@pytest.mark.parametrize("count", [*range(1, 10), *range(31, 42)])
def test_any_number_of_frames(count: int, config: StarConfig) -> None:
    """The published code fails with 33 to 40."""
    found = run(clip(count), replace(config, padding="needed"))
    assert found.shape == (count, 3, 64, 64)
    assert found.isfinite().all()


def test_frames_that_a_window_before_has_made_are_not_made_again() -> None:
    """10 frames are spans of 6 at 0 and 4: that at 8 holds only the overlap."""
    parts = WatchedParts(toy_networks())
    assert len(images(list(start(clip(10), make_toy(parts=parts))))) == 10
    assert parts.used.count("denoiser") == 2
    assert parts.used.count("text") == 1


def test_networks_take_turns() -> None:
    """What is not at work may leave the device."""
    parts = WatchedParts(toy_networks())
    list(start(clip(3), make_toy(parts=parts)))
    assert parts.used == ["text", "vae", "denoiser", "vae"]


def test_cancelling_is_heard_inside_a_step() -> None:
    """By the second tile of the first step, when nothing of the step is done."""
    parts, calls = WatchedParts(toy_networks()), []

    def check() -> None:
        calls.append(parts.used[-1] if parts.used else "")
        if calls.count("denoiser") == 3:
            raise CancelledError("stopped")

    steps: list[int] = []
    restorer = make_toy(replace(QUICK, tile=64), parts)
    restorer.tell_step = lambda done, total: steps.append(done)
    with pytest.raises(CancelledError):
        list(start(clip(3, 24, 40), restorer, check=check))
    assert calls.count("vae") >= 3, "a frame at a time"
    assert not steps


@pytest.mark.parametrize("name", ["denoiser", "vae"])
def test_less_memory_means_smaller_tiles_not_the_end(name: str) -> None:
    """Memory runs out in the second span: what came before stays, the rest is made with less at a time."""
    last = {"denoiser": 2, "vae": 4}[name]

    def allow(asked: str, count: int) -> None:
        if asked == name and count == last:
            raise RuntimeError("CUDA out of memory")

    told: list[str] = []
    found = images(list(start(clip(9, 24, 40), make_toy(parts=WatchedParts(toy_networks(), allow)), tell=told.append)))
    whole = run(clip(9, 24, 40))
    assert len(told) == 1
    assert "tiles of 20 pixels" in told[0]
    torch.testing.assert_close(found[:4], whole[:4], rtol=0, atol=0)
    assert float((found - whole).abs().mean()) < 0.2 * float(whole.std())


def test_spans_that_overlap_are_as_one() -> None:
    """A frame has the same noise in every span, and is taken from where it has others beside it."""
    frames, config = clip(20, 24, 40), replace(QUICK, color_fix="none")
    whole = run(frames, replace(config, span=20, window=20))
    apart, shared = (run(frames, replace(config, span=8, window=8, overlap=overlap)) for overlap in (0, 4))
    off = [(found - whole).abs().mean(dim=(1, 2, 3)) / whole.std() for found in (apart, shared)]
    assert float(off[0][7]) > 0.2, "the last of a span misses the next one"
    assert float(off[1].max()) < 0.01
    assert float(off[1][:4].max()) < 1e-3


def test_no_memory_at_all_is_said() -> None:
    def allow(name: str, count: int) -> None:
        if name == "denoiser":
            raise RuntimeError("CUDA out of memory")

    with pytest.raises(OutOfMemoryError, match="windows of 1 frame"):
        list(start(clip(3), make_toy(parts=WatchedParts(toy_networks(), allow))))


def test_memory_and_size_set_the_tiles() -> None:
    def tiles(config: StarConfig, memory: int, size: tuple[int, int] = (240, 426)) -> tuple[int, ...]:
        return make_toy(config, memory=memory).plan(*size).tiles

    assert tiles(StarConfig(), 1 << 40) == (0, 0)
    assert tiles(StarConfig(), 1) == (64, 32), "the least sides"
    sides = [tiles(StarConfig(), 1 << power) for power in range(30, 41)]
    assert all(a <= b or not b for pair in itertools.pairwise(sides) for a, b in zip(*pair, strict=True))
    assert tiles(StarConfig(tile=512, vae_tile=256), 1) == (128, 64)
    plan = make_toy(StarConfig()).plan(240, 426)
    assert (plan.length, plan.look_ahead) == (24, 8)


@pytest.mark.parametrize(("memory", "least"), [(1 << 36, 1 << 25), (1 << 32, 1 << 22), (1, 1 << 21)])
def test_memory_sets_what_goes_through_a_layer_at_once(memory: int, least: int) -> None:
    """Which changes nothing but memory and speed; once that ran out, it is the least."""
    toys = toy_networks()
    list(start(clip(2), make_toy(memory=memory)))
    assert least <= toys["denoiser"].chunks.spatial < 2 * least  # type: ignore[operator,union-attr]
    restorer = make_toy(memory=memory)
    shot = restorer.open_shot(16, 16, WindowPlan(4, 2, (0, 0)))
    assert restorer.plan(16, 16) == WindowPlan(4, 2, (0, 0)) or memory == 1
    assert shot._chunks.spatial == toys["denoiser"].chunks.spatial  # type: ignore[attr-defined,union-attr]
    assert restorer.open_shot(16, 16, WindowPlan(4, 2, (16, 16)))._chunks.spatial == 1 << 21  # type: ignore[attr-defined]
