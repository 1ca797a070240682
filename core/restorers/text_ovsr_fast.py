"""Less overhead on a graphics card: functions of tensors, compiled or recorded for the shapes they are called with.

Neither changes what is computed. Compiling fuses what lies between convolutions; a recorded CUDA graph starts hundreds
of kernels at once, which pays where a frame is small and each kernel short. What cannot be done on a machine is left
out, with a word in the log.
"""

import logging
from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..config import Speedup
from ..device import is_out_of_memory

log = logging.getLogger(__name__)

Tensors: TypeAlias = "tuple[Tensor, ...]"
Function: TypeAlias = "Callable[..., Tensors]"

_WARM_UP = 2
"""Calls before recording: libraries choose their kernels and take their work space in them."""


class Fast:
    """Calls functions as quickly as this machine can.

    Args:
        speedup: what to try.
        device: where the tensors are. Graphs are recorded on CUDA only.
        backend: of ``torch.compile``.
    """

    def __init__(self, speedup: Speedup, device: torch.device, backend: str = "inductor") -> None:
        self._compile = speedup in ("compile", "both")
        self._record = speedup in ("graphs", "both") and device.type == "cuda"
        self._backend = backend
        self._made: dict[Hashable, Function] = {}
        self._pool: Any = None

    @property
    def active(self) -> bool:
        """Whether anything is done beyond calling a function."""
        return self._compile or self._record

    def clear(self) -> None:
        """Forget everything that was made, and give its memory back."""
        self._made.clear()
        self._pool = None

    def run(self, name: Hashable, function: Function, *inputs: Tensor) -> Tensors:
        """``function(*inputs)``.

        Args:
            name: of the function, and of everything beside the inputs that decides what it does.
            function: of tensors alone, without side effects; its results are new tensors.
            inputs: on the device.
        """
        if not self.active:
            return function(*inputs)
        key = (name, tuple((x.shape, x.stride(), x.dtype) for x in inputs))
        if key not in self._made:
            self._made[key] = self._make(function, inputs)
        return self._made[key](*inputs)

    def _make(self, function: Function, inputs: Tensors) -> Function:
        made = self._compiled(function, inputs) if self._compile else function
        return self._recorded(made, inputs) if self._record else made

    def _compiled(self, function: Function, inputs: Tensors) -> Function:
        log.info("Compiling for %s; the first frames of this size take longer.", tuple(inputs[0].shape))
        compiled: Function = torch.compile(function, backend=self._backend, dynamic=False)
        try:
            compiled(*inputs)
        except RuntimeError as error:  # what a compiler that is missing or fails becomes
            if is_out_of_memory(error):
                raise
            self._compile = False
            log.warning("torch.compile does not work here (%s); the work goes on without it.", _first_line(error))
            return function
        return compiled

    def _recorded(self, function: Function, inputs: Tensors) -> Function:
        try:
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            return _Recording(function, inputs, self._pool)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self._record = False
            log.warning("CUDA graphs do not work here (%s); the work goes on without them.", _first_line(error))
            return function


class _Recording:
    """A function's kernels, recorded on tensors of their own, into and out of which everything is copied.

    Recordings share one pool of memory: each keeps nothing in it from call to call but its results, which are copied
    out at once. They share it on one stream only, so all are made on the current one, which is not the default one.
    Other threads use the card meanwhile, which is no error of theirs.
    """

    def __init__(self, function: Function, inputs: Tensors, pool: Any) -> None:
        self._inputs = tuple(x.clone() for x in inputs)
        for _ in range(_WARM_UP):
            function(*self._inputs)
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        with torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            self._outputs = function(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensors:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        return tuple(result.clone() for result in self._outputs)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
