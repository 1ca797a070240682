"""Memory for frames, used again: the system's clearing of fresh pages costs as much as converting a frame."""

import sys

import numpy as np
import torch
from torch import Tensor


def _references_of_a_free_one() -> int:
    """What a buffer in a list counts while it is looked at; versions of Python differ."""
    buffers = [np.empty(0)]
    for buffer in buffers:
        count = sys.getrefcount(buffer)
    return count


_UNUSED = _references_of_a_free_one()


class FramePool:
    """Hands out tensors of one shape; the memory of one that nobody refers to any more is handed out again.

    A tensor made of a NumPy array holds a reference to it for as long as the tensor, or any view of it, lives. So a
    buffer's reference count tells whether it is free, whoever was given a view of it.

    Args:
        most: buffers kept. With all of them in use, tensors get memory of their own.
    """

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._buffers: list[np.ndarray] = []

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Return an uninitialised float32 tensor."""
        self._buffers = [buffer for buffer in self._buffers if buffer.shape == shape]
        for buffer in self._buffers:
            if sys.getrefcount(buffer) == _UNUSED:
                return torch.from_numpy(buffer)
        fresh = np.empty(shape, np.float32)
        if len(self._buffers) < self._most:
            self._buffers.append(fresh)
        return torch.from_numpy(fresh)
