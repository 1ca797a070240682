"""Convolutions to a handful of channels: the ordinary convolution's numbers, names and gradients."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from textovsr.models.narrow import NarrowConv2d

SIZE = {"inputs": st.integers(1, 9), "outputs": st.integers(1, 4), "height": st.integers(1, 9)}


@contextmanager
def strides() -> Iterator[list[list[int]]]:
    """Of every convolution that is computed inside."""
    found: list[list[int]] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if "conv" in str(function):
                found.append(list(args[3]))
            return function(*args, **(kwargs or {}))

    with Watch():
        yield found


@settings(max_examples=30, deadline=None)
@given(
    **SIZE,
    batch=st.integers(1, 2),
    width=st.integers(1, 17),
    radius=st.integers(0, 3),
    bias=st.booleans(),
    last=st.booleans(),
)
def test_it_is_the_ordinary_convolution(
    inputs: int, outputs: int, height: int, batch: int, width: int, radius: int, bias: bool, last: bool
) -> None:
    torch.manual_seed(0)
    layer = NarrowConv2d(inputs, outputs, 2 * radius + 1, padding=radius, bias=bias).eval()
    x = torch.rand(batch, inputs, height, width)
    if last:
        layer, x = layer.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight, layer.bias, padding=radius), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("width", "training", "expected"), [(16, False, [1, 4]), (15, False, [1, 1]), (16, True, [1, 1])]
)
@torch.inference_mode()
def test_columns_are_computed_together_only_where_that_is_possible(
    width: int, training: bool, expected: list[int]
) -> None:
    layer = NarrowConv2d(8, 3, 3, padding=1).train(training)
    with strides() as found:
        assert layer(torch.rand(1, 8, 5, width)).shape == (1, 3, 5, width)
    assert found == [expected]


def test_its_names_are_those_of_a_convolution() -> None:
    names = nn.Conv2d(8, 3, 3).state_dict().keys()
    assert NarrowConv2d(8, 3, 3).state_dict().keys() == names


@pytest.mark.parametrize("training", [True, False])
def test_it_learns(training: bool) -> None:
    layer = NarrowConv2d(8, 3, 3, padding=1).train(training)
    x = torch.rand(1, 8, 6, 8, requires_grad=True)
    target = torch.rand(1, 3, 6, 8)
    assert layer.bias is not None
    leaves = (x, layer.weight, layer.bias)
    found = torch.autograd.grad(F.mse_loss(layer(x), target), leaves)
    expected = torch.autograd.grad(F.mse_loss(F.conv2d(x, layer.weight, layer.bias, padding=1), target), leaves)
    for own, ordinary in zip(found, expected, strict=True):
        torch.testing.assert_close(own, ordinary)
