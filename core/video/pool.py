"""Memory for frames and what is computed on the way to them, used again.

The system's clearing of fresh pages costs as much as the computing.
"""

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


class TensorPool:
    """Hands out tensors; the memory of one that nobody refers to any more is handed out again. For one thread.

    A tensor made of a NumPy array holds a reference to it for as long as the tensor, or any view of it, lives. So a
    buffer's reference count tells whether it is free, whoever was given a view of it.

    Args:
        most: buffers kept of each shape. With all of them in use, tensors get memory of their own.
    """

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._buffers: dict[tuple[int, ...], list[np.ndarray]] = {}

    def take(self, *shape: int) -> Tensor:
        """Return an uninitialised float32 tensor."""
        buffers = self._buffers.setdefault(shape, [])
        for buffer in buffers:
            if sys.getrefcount(buffer) == _UNUSED:
                return torch.from_numpy(buffer)
        fresh = np.empty(shape, np.float32)
        if len(buffers) < self._most:
            buffers.append(fresh)
        return torch.from_numpy(fresh)
