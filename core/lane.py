"""A device's own line of work: frames go up and results come down while it computes."""

from collections import deque
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch
from torch import Tensor

_IN_FLIGHT = 2
"""Results that are computed after one before it is waited for: the device always has something to do."""

_BEYOND = 6
"""Results that others hold at the same time: those in the queue to the encoder, and those at either end of it."""


class Lane:
    """Where a restorer computes. On a CPU nothing is different.

    On CUDA it is a stream of its own, so that what other threads compute, such as an encoder's samples, need not wait
    for all that was begun before it. A result is handed over when it is finished, ``_IN_FLIGHT`` results later.

    Args:
        device: which.
        keep: hand results over where they are; else in main memory.
    """

    def __init__(self, device: torch.device, keep: bool = False) -> None:
        self._device, self._keep = device, keep
        self._stream = _stream(device) if device.type == "cuda" else None
        self._flying: deque[tuple[Tensor, torch.cuda.Event | None]] = deque()

    @staticmethod
    def results_held(keep: bool) -> int:
        """How many results are on the device at once; on their way to main memory they are there already."""
        return 1 + (_IN_FLIGHT + _BEYOND if keep else 0)

    def begin(self) -> None:
        """Wait, on the device, for what others began before: weights and states that they brought there."""
        self._flying.clear()
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def working(self) -> AbstractContextManager[object]:
        """What is computed within this context is computed here."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def upload(self, image: Tensor) -> Tensor:
        """Bring a tensor of main memory here, without waiting for what is being computed."""
        if self._stream is None:
            return image.to(self._device)
        return image.pin_memory().to(self._device, non_blocking=True)

    def send(self, result: Tensor) -> list[Tensor]:
        """Take a result that is being computed here, and return those that are finished; any float type."""
        if self._device.type == "cpu":
            return [result.float()]
        event = None
        if self._stream is not None:
            if not self._keep:
                host = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
                result = host.copy_(result, non_blocking=True)
            event = torch.cuda.Event(blocking=True)
            event.record(self._stream)
        self._flying.append((result, event))
        return self._land(_IN_FLIGHT)

    def flush(self) -> list[Tensor]:
        """Wait for all results and return those that were not handed over yet."""
        return self._land(0)

    def _land(self, left: int) -> list[Tensor]:
        landed: list[Tensor] = []
        while len(self._flying) > left:
            result, event = self._flying.popleft()
            if event is not None:
                event.synchronize()
            if result.is_cuda:
                result.record_stream(torch.cuda.default_stream(self._device))  # where others will read it
            landed.append(result if self._keep or result.is_meta else result.cpu())  # meta: a count without numbers
        return landed


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for all: PyTorch keeps freed memory for the stream that it was taken on."""
    return torch.cuda.Stream(device)
