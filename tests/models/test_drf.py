"""The text-guided attention: windows, pieces and memory."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from textovsr.models import drf
from textovsr.models.drf import DRF


def make(channels: int = 8, window: int = 0) -> DRF:
    torch.manual_seed(0)
    return DRF(channels, window).eval().requires_grad_(False)


def inputs(height: int, width: int, batch: int = 1, channels: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(batch, channels, height, width, generator=generator)
    return features, torch.randn(batch, 77, channels, generator=generator)


def test_a_window_as_large_as_the_frame_is_global_attention() -> None:
    whole, windowed = make(), make(window=16)
    windowed.load_state_dict(whole.state_dict(), strict=False)
    torch.testing.assert_close(windowed(*inputs(16, 16)), whole(*inputs(16, 16)), rtol=0, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 3), columns=st.integers(1, 3))
def test_windows_attend_only_inside(rows: int, columns: int) -> None:
    network = make(window=8)
    features = inputs(8 * rows, 8 * columns)[0]
    block = network.transformer_blocks[0]
    found = network._attend_self(features, block)
    for y in range(0, 8 * rows, 8):
        for x in range(0, 8 * columns, 8):
            alone = network._attend_self(features[..., y : y + 8, x : x + 8], block)
            torch.testing.assert_close(found[..., y : y + 8, x : x + 8], alone, rtol=0, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 33), width=st.integers(1, 33), window=st.sampled_from([0, 4, 8]))
def test_any_size_works(height: int, width: int, window: int) -> None:
    features, text = inputs(height, width, batch=2)
    out = make(window=window)(features, text)
    assert out.shape == features.shape
    assert out.isfinite().all()


@pytest.mark.parametrize("window", [0, 8])
def test_pieces_of_tokens_give_the_same_as_all_at_once(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = make(window=window)
    expected = network(*inputs(20, 17))
    monkeypatch.setattr(drf, "_TOKENS_AT_ONCE", 23)
    torch.testing.assert_close(network(*inputs(20, 17)), expected, rtol=0, atol=1e-6)


def test_training_and_inference_are_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make()
    expected = network(*inputs(9, 9))
    monkeypatch.setattr(drf, "_TOKENS_AT_ONCE", 10)
    torch.testing.assert_close(network.train()(*inputs(9, 9)), expected, rtol=0, atol=1e-6)


def test_global_attention_never_holds_the_score_matrix() -> None:
    """Of 9216 tokens it would be 340 MB; the largest thing allocated is the feed-forward's 8 maps."""
    features, text = inputs(96, 96)
    network = make()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        network(features, text)
    largest = max(event.cpu_memory_usage for event in recorded.events())
    assert largest <= 2 * 8 * features.numel() * features.element_size()


def test_text_steers_the_result() -> None:
    features, text = inputs(8, 8)
    assert not torch.allclose(make()(features, text), make()(features, text.flip(2)))


def test_the_checkpoint_says_which_attention_it_was_trained_with() -> None:
    assert int(make(window=8).state_dict()["attention_window"]) == 8
    assert "attention_window" not in make().state_dict()


@pytest.mark.parametrize("pixels", [1, 8 * 30, 17 * 30])
@torch.inference_mode()
def test_a_large_frame_is_refined_in_strips_of_whole_windows(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    net, (features, text) = make(window=8), inputs(37, 30, batch=2)
    whole = net(features, text)
    monkeypatch.setattr(drf, "_PIXELS_AT_ONCE", pixels)
    torch.testing.assert_close(net(features, text), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(net.train()(features, text), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("window", [0, 8])
@torch.inference_mode()
def test_on_a_cpu_the_wide_activations_are_those_of_a_few_tokens(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drf, "_IN_CACHE", 100)
    net, seen = make(window=window), []
    net.transformer_blocks[0].ff.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1]))
    net(*inputs(24, 8))
    assert sum(seen) == 24 * 8
    assert max(seen) <= 100
