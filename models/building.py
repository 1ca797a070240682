"""Making networks of sizes that a file tells, which may be anything.

Levels times blocks a level: a few names and numbers can ask for any number of layers, each of which takes time and
memory, on the meta device too.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..core.errors import SettingError, UnknownCheckpointError, WeightsError

MOST_TENSORS = 6000
"""Of a network; the largest known, STAR's denoiser, has 2247. Loading takes a time that grows with their square."""

_MISFITS = (
    SettingError,
    LookupError,
    ValueError,
    TypeError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
)
"""What making and filling a network raises when sizes or tensors do not go together, diffusers' networks included."""

_SPARE = 1000
"""Tensors that a network may make without its file having them: buffers, and layers that it exchanges."""

_LONGEST = 2000
"""Letters of a reason: torch names every key that is missing or left over."""


@contextmanager
def fitting(expected: str, advice: str) -> Iterator[None]:
    """Inside, a network is made of what a file holds, and filled; whatever goes wrong is said of that file.

    Args:
        expected: what was expected, and the file.
        advice: what to do.

    Raises:
        UnknownCheckpointError: something went wrong.
    """
    try:
        yield
    except WeightsError:
        raise
    except _MISFITS as error:
        raise UnknownCheckpointError(f"Expected {expected}, which does not fit: {why(error)}; {advice}.") from error


@contextmanager
def without_memory(tensors: int) -> Iterator[None]:
    """Inside, networks are made on the meta device, of no more tensors than there are.

    Args:
        tensors: how many there are, in all files that the network is made of.

    Raises:
        ValueError: a network has more, or these are more than any has, or a layer of it has no numbers.
    """
    if tensors > MOST_TENSORS:
        raise ValueError(f"{tensors} tensors, more than any network has")
    with torch.device("meta"), _Counting(2 * tensors + _SPARE):
        yield


def why(error: Exception) -> str:
    """What an error says, in short."""
    text = str(error) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


class _Counting(TorchFunctionMode):
    """Counts the tensors that layers are made of, in this thread."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.empty:
            self._left -= 1
            if self._left < 0:
                raise ValueError("its names and sizes count more layers than there are tensors")
        made = func(*args, **(kwargs or {}))
        if func is torch.empty and not made.numel():
            raise ValueError(f"a layer of the size {tuple(made.shape)}")
        return made
