"""Streaming against the whole clip at once."""

import math
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from textovsr.core.config import RecurrentConfig
from textovsr.core.errors import CancelledError
from textovsr.core.job import Job
from textovsr.core.pipeline import restore_frames
from textovsr.core.restorer import PromptedFrame
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.text.encode import tokenize
from textovsr.core.windows import Window, WindowPlan, slide
from textovsr.models.text_ovsr import MIN_SIDE, TextOVSR
from textovsr.tests.helpers.networks import tiny_network

ENOUGH = 1 << 34


@cache
def network() -> TextOVSR:
    return tiny_network()


def make(memory: int = ENOUGH, **settings: object) -> TextOVSRRestorer:
    return TextOVSRRestorer(network(), RecurrentConfig(**settings), torch.device("cpu"), memory)  # type: ignore[arg-type]


def clip(frames: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(frames * height * width)
    coarse = torch.rand(frames, 3, height // 4 + 1, width // 4 + 1, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bilinear")


def stream(restorer: TextOVSRRestorer, frames: Tensor, prompts: list[str] | None = None) -> Tensor:
    prompts = prompts or [""] * len(frames)
    items = [PromptedFrame(image, prompt) for image, prompt in zip(frames, prompts, strict=True)]
    size = (frames.shape[-2], frames.shape[-1])
    plan = restorer.plan(*size)
    shot = restorer.open_shot(*size, plan)
    results = [image for window in slide(items, plan) for image in shot.restore(window, lambda: None)]
    return torch.stack(results)


@torch.inference_mode()
def whole(frames: Tensor, prompts: list[str] | None = None, threshold: float = 255.0) -> Tensor:
    """The published inference, (T,3,H,W) -> (T,3,4H,4W); small frames are padded as the restorer does."""
    height, width = frames.shape[-2:]
    padded = F.pad(frames, (0, max(MIN_SIDE - width, 0), 0, max(MIN_SIDE - height, 0)), mode="replicate")
    ids, mask = tokenize(prompts or [""] * len(frames))
    return network()(padded[None], ids, mask, threshold)[0, ..., : 4 * height, : 4 * width]


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@settings(max_examples=12, deadline=None)
@given(
    frames=st.integers(1, 6),
    height=st.integers(17, 90),
    width=st.integers(17, 90),
    window=st.integers(1, 6),
    tile=st.sampled_from([24, 33, 64, 200]),
    fade=st.integers(0, 4),
)
def test_a_look_ahead_to_the_end_gives_the_whole_clip(
    frames: int, height: int, width: int, window: int, tile: int, fade: int
) -> None:
    lr = clip(frames, height, width)
    restorer = make(window=window, look_ahead=frames, tile=tile, fade=fade)
    assert_equal(stream(restorer, lr), whole(lr))


@pytest.mark.parametrize("look_ahead", [0, 1, 3])
def test_the_forward_state_is_carried_exactly(look_ahead: int) -> None:
    """Whatever the windows, the forward features are those of the whole clip; only the backward ones look less far."""
    forward = network().basicvsr.forward_resblocks_layer10_po

    def states(window: int, look: int) -> list[Tensor]:
        found: list[Tensor] = []
        hook = forward.register_forward_hook(lambda _, __, state: found.append(state))
        stream(make(window=window, look_ahead=look, tile=200), clip(7, 64, 64))
        hook.remove()
        return found

    for carried, expected in zip(states(2, look_ahead), states(7, 0), strict=True):
        torch.testing.assert_close(carried, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("look_ahead", [0, 2])
def test_every_frame_comes_out_through_the_pipeline(look_ahead: int) -> None:
    """Windows without look-ahead too: a shot must have moved on before the next window."""
    lr = clip(7, 64, 64)
    restorer = make(window=3, look_ahead=look_ahead, tile=200)
    found = torch.stack(list(restore_frames(((image, 0.0) for image in lr), restorer, Job(cut_threshold=math.inf))))
    assert_equal(found, stream(restorer, lr).clamp(0, 1))


def test_the_last_frames_of_a_finite_look_ahead_are_exact() -> None:
    """Once the windows see the end and nothing is faded, they know what the whole clip knows."""
    lr = clip(6, 64, 64)
    assert_equal(stream(make(window=2, look_ahead=2, tile=200, fade=0), lr)[2:], whole(lr)[2:])


def test_the_first_frames_of_a_window_are_faded_over() -> None:
    lr = clip(8, 64, 64)
    hard, soft = (stream(make(window=3, look_ahead=2, tile=200, fade=fade), lr) for fade in (0, 2))
    changed = [not torch.allclose(a, b, atol=1e-6) for a, b in zip(hard, soft, strict=True)]
    assert changed == [False, False, False, True, True, False, False, False]


@settings(max_examples=6, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 90))
def test_frames_below_the_smallest_size_are_padded_and_cropped(height: int, width: int) -> None:
    found = stream(make(window=2, look_ahead=1), torch.rand(2, 3, height, width))
    assert found.shape == (2, 3, 4 * height, 4 * width)
    assert found.isfinite().all()


@pytest.mark.parametrize("threshold", [0.0, 0.01, 1e3])
def test_the_whole_clip_is_cleaned_as_published(threshold: float) -> None:
    lr = clip(3, 64, 70)
    restorer = make(window=3, look_ahead=0, cleaning_threshold=threshold, tile=24)
    assert_equal(stream(restorer, lr), whole(lr, threshold=threshold))


class TowardsGrey(nn.Module):
    """A cleaning whose correction shrinks to 0.7 of itself from pass to pass."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.3 * (0.5 - x)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_cleaning_is_decided_on_the_first_window_and_kept(passes: int) -> None:
    lr = clip(6, 64, 64)
    first = 255 * 0.3 * float((0.5 - lr[:3]).abs().mean())
    net = tiny_network()
    net.image_cleaning = TowardsGrey()
    config = RecurrentConfig(window=2, look_ahead=1, cleaning_threshold=first * (1.01, 0.71, 0.0)[passes - 1])
    shot = TextOVSRRestorer(net, config, torch.device("cpu"), ENOUGH).open_shot(64, 64, WindowPlan(2, 1, (0, 0)))
    cleaned: list[Tensor] = []
    net.basicvsr.frame_extractor.register_forward_hook(lambda _, inputs, __: cleaned.append(inputs[0]))
    for window in slide([PromptedFrame(image) for image in lr], WindowPlan(2, 1)):
        list(shot.restore(window, lambda: None))
    assert_equal(torch.cat(cleaned), 0.5 + (lr - 0.5) * 0.7**passes)


def test_every_frame_is_prepared_once() -> None:
    calls: list[int] = []
    hook = network().basicvsr.frame_extractor.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    stream(make(window=2, look_ahead=2), clip(7, 64, 64))
    hook.remove()
    assert calls == [1] * 7


def test_a_prompt_is_embedded_once() -> None:
    restorer, calls = make(window=2, look_ahead=1), []
    hook = network().basicvsr.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    for _ in range(2):
        stream(restorer, clip(5, 64, 64), ["a cat", "a cat", "a dog", "a cat", ""])
    hook.remove()
    assert len(calls) == 3


def test_each_frame_follows_its_own_prompt() -> None:
    lr, prompts = clip(4, 64, 64), ["a cat", "a cat", "heavy noise", "heavy noise"]
    found = stream(make(window=2, look_ahead=4), lr, prompts)
    assert_equal(found, whole(lr, prompts))
    assert not torch.allclose(found, whole(lr, ["a cat"] * 4), rtol=0, atol=1e-5)


def test_two_shots_know_nothing_of_each_other() -> None:
    restorer, lr = make(window=2, look_ahead=1), clip(4, 64, 64)
    first = stream(restorer, lr)
    stream(restorer, clip(3, 64, 64))
    assert torch.equal(stream(restorer, lr), first)


def test_a_check_stops_the_work_between_two_tiles() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise CancelledError

    shot = make().open_shot(64, 64, WindowPlan(1, 0, (24, 24)))
    window = Window(0, (PromptedFrame(torch.rand(3, 64, 64)),), 1, last=True)
    with pytest.raises(CancelledError):
        list(shot.restore(window, check))
    assert calls == 7


def test_results_carry_no_gradients_and_are_on_the_cpu() -> None:
    found = stream(make(window=1), clip(1, 64, 64))
    assert found.device.type == "cpu"
    assert found.dtype == torch.float32
    assert not found.requires_grad


def test_memory_sets_the_window() -> None:
    plans = [make(memory).plan(180, 320) for memory in (1 << 24, 1 << 26, 1 << 34)]
    assert plans[0].length < plans[1].length < plans[2].length


def test_settings_overrule_memory() -> None:
    plan = make(1, window=5, look_ahead=3).plan(180, 320)
    assert (plan.length, plan.look_ahead) == (5, 3)
