"""How much memory a computation holds at most: counted without running it, and measured on a CPU.

Counted: the computation runs on the meta device, where tensors have sizes and no memory, while every storage is watched
from its making to its end. Counted are the results of torch's operations, and copies of inputs that normalisation and
convolution need in order; not counted is a kernel's work space, and what an allocator cannot use for being in pieces.
Attention is taken to be a fused kernel, which holds its result and a number a query and head, no scores.
"""

import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_PACKED = (torch.ops.aten.native_group_norm.default, torch.ops.aten.convolution.default)
"""Operations that first copy an input whose numbers do not lie in order."""


class LiveMemory:
    """Within this context, ``peak`` is the most bytes of tensors that were alive at once, ``live`` those that are."""

    def __init__(self) -> None:
        self.live = self.peak = 0
        self._known: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._modes = (_Storages(self.see), _FusedAttention())

    def see(self, tensor: Tensor) -> None:
        """Count a tensor's storage until it ends, if it is not counted yet."""
        storage = tensor.untyped_storage()
        if self._known.get(storage._cdata) is storage:
            return
        self._known[storage._cdata] = storage
        weakref.finalize(storage, self._end, storage.nbytes()).atexit = False
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count what was there before: weights and inputs."""
        for tensor in tensors:
            self.see(tensor)

    def _end(self, size: int) -> None:
        self.live -= size

    def __enter__(self) -> "LiveMemory":
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(kind, value, at)


class _Storages(TorchDispatchMode):
    """Shows what every operation makes."""

    def __init__(self, see: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._see = see

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        copy = None
        if func in _PACKED and not args[0].is_contiguous():
            copy = torch.empty_like(args[0], memory_format=torch.contiguous_format)
            self._see(copy)
        found = func(*args, **(kwargs or {}))
        del copy
        for value in tree_leaves(found):
            if isinstance(value, Tensor):
                self._see(value)
        return found


class _FusedAttention(TorchFunctionMode):
    """Attention of meta tensors as a fused kernel lays it out; torch would make the scores of them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention and args[0].is_meta:
            query, value = args[0], args[2]
            batch, heads, length, _ = query.shape
            sums = query.new_empty(batch, heads, length, dtype=torch.float32)
            found = query.new_empty(batch, length, heads, value.shape[-1]).transpose(1, 2)
            del sums
            return found
        return func(*args, **(kwargs or {}))


def counted(compute: Callable[[], object], there: Iterable[Tensor]) -> int:
    """The most bytes at once of what runs on the meta device, beyond those of the weights and inputs that are there."""
    with LiveMemory() as memory, torch.no_grad():
        memory.hold(there)
        before = memory.live
        compute()
    return memory.peak - before


def measured(compute: Callable[[], object]) -> int:
    """The most bytes at once beyond those that were there, of what runs on the CPU, as torch's allocator saw them."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler, torch.no_grad():
        compute()
    events = profiler.profiler.kineto_results.events()  # type: ignore[union-attr]  # the profiler has run
    live = peak = 0
    for event in sorted((event for event in events if event.name() == "[memory]"), key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak
