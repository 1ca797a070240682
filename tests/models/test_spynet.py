"""The flow network: sizes, pyramids and what a level adds."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.models.spynet import SPyNet
from textovsr.models.warp import resize_flow


@cache
def network(levels: int) -> SPyNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SPyNet(levels).eval().requires_grad_(False)


def frames(height: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    return torch.rand(1, 3, height, width, generator=generator), torch.rand(1, 3, height, width, generator=generator)


@settings(max_examples=15, deadline=None)
@given(height=st.integers(16, 100), width=st.integers(16, 100), levels=st.integers(1, 6))
def test_the_flow_has_the_size_of_the_frames(height: int, width: int, levels: int) -> None:
    flow = network(levels)(*frames(height, width))
    assert flow.shape == (1, 2, height, width)
    assert flow.isfinite().all()


@pytest.mark.parametrize("levels", [1, 5, 6])
def test_levels_that_correct_nothing_find_no_motion(levels: int) -> None:
    still = SPyNet(levels).requires_grad_(False)
    for parameter in still.parameters():
        parameter.zero_()
    assert not still(*frames(64, 96)).any()


def test_a_net_without_the_finest_level_is_the_first_levels_of_the_full_one() -> None:
    """With a finest level that corrects nothing, the full net only enlarges what the others found."""
    full, short = SPyNet(6).requires_grad_(False), SPyNet(5).requires_grad_(False)
    for parameter in full.basic_module[5].parameters():
        parameter.zero_()
    short.load_state_dict({key: value for key, value in full.state_dict().items() if "basic_module.5." not in key[:15]})
    reference, support = frames(64, 96)
    half = short._pyramid_flow(short._pyramid(reference, (64, 96)), short._pyramid(support, (64, 96)))
    assert half.shape == (1, 2, 32, 48)
    expected = resize_flow(half, (64, 96), align_corners=True)
    torch.testing.assert_close(full(reference, support), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(short(reference, support), resize_flow(half, (64, 96)), rtol=0, atol=1e-6)


def test_pairs_of_a_batch_do_not_touch() -> None:
    first, second = frames(64, 64), frames(64, 65)[0][..., :64]
    together = network(6)(torch.cat([first[0], second]), torch.cat([first[1], second]))
    torch.testing.assert_close(together[:1], network(6)(*first), rtol=0, atol=1e-5)
    torch.testing.assert_close(together[1:], network(6)(second, second), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision_find_a_flow_in_single(dtype: torch.dtype) -> None:
    """Half precision has steps of 1/16 (float16) and 1/2 pixel (bfloat16) at a flow of 80 pixels: none are seen."""
    net = SPyNet(1).requires_grad_(False).to(dtype)
    for parameter in net.parameters():
        parameter.zero_()
    net.basic_module[0].basic_module[4].conv.bias.copy_(torch.tensor([2.5 + 2**-6, 0.0]))
    flow = net(*frames(64, 96))
    assert flow.dtype == torch.float32
    rounded = net.basic_module[0].basic_module[4].conv.bias[0].float()
    torch.testing.assert_close(flow[:, 0], (32 * rounded).expand_as(flow[:, 0]), rtol=1e-6, atol=0)
