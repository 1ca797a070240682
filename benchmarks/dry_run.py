"""A restorer that computes nothing: what it would compute and hold is counted.

Its device is the meta device, where tensors have sizes and no numbers; what it brings back from there are zeros. So the
restorer's own windows, tiles, texts and steps are counted, not a model of them. A network that is called again with
inputs of the same sizes is not gone through again: it counts as the first time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from live_memory import LiveMemory
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import FlopCounterMode

META = torch.device("meta")

_HALF, _SINGLE = (F.conv1d, F.conv2d, F.conv3d, F.linear, torch.matmul, torch.bmm), (F.group_norm, F.layer_norm)
"""What autocast computes in half precision, and what in single."""


class DeviceMemory(LiveMemory):
    """Counts only what is on the device."""

    def see(self, tensor: Tensor) -> None:
        """See ``LiveMemory.see``."""
        if tensor.is_meta:
            super().see(tensor)


@dataclass
class Stage:
    """While certain networks were on the device.

    Attributes:
        weights: their bytes.
        beside: the most bytes of other tensors at once.
        flops: in all.
    """

    weights: int
    beside: int = 0
    flops: int = 0


@dataclass
class DryRun:
    """What was counted so far; see ``counting``.

    Attributes:
        stages: by the names of the networks.
    """

    stages: dict[str, Stage] = field(default_factory=dict)
    memory: DeviceMemory = field(default_factory=DeviceMemory)
    counter: FlopCounterMode = field(default_factory=lambda: FlopCounterMode(display=False))
    _again: int = 0
    _counted: int = 0
    _stage: Stage | None = None

    @property
    def flops(self) -> int:
        """Of everything."""
        return self.counter.get_total_flops() + self._again

    def begin(self, name: str, weights: int) -> None:
        """Other networks are on the device from here on."""
        self.close()
        self._stage = self.stages.setdefault(name, Stage(weights))
        self.memory.peak = self.memory.live

    def close(self) -> None:
        """End the stage."""
        if self._stage:
            self._stage.beside = max(self._stage.beside, self.memory.peak)
            self._stage.flops += self.flops - self._counted
        self._counted = self.flops

    def remembered(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, gone through once for inputs of the same sizes."""
        known: dict[object, tuple[int, int, Any]] = {}

        def call(*given: Any, **named: Any) -> Any:
            key = tuple(
                (tuple(x.shape), x.stride(), x.dtype) if isinstance(x, Tensor) else type(x)
                for x in tree_leaves((given, named))
            )
            if key in known:
                flops, beside, like = known[key]
                self._again += flops
                self.memory.peak = max(self.memory.peak, self.memory.live + beside)
                return tree_map_only(_Like, _Like.make, like)
            flops, live, peak = self.flops, self.memory.live, self.memory.peak
            self.memory.peak = live
            result = compute(*given, **named)
            known[key] = self.flops - flops, self.memory.peak - live, tree_map_only(Tensor, _Like, result)
            self.memory.peak = max(peak, self.memory.peak)
            return result

        return call


class _Like:
    """What a tensor was like."""

    def __init__(self, tensor: Tensor) -> None:
        self._shape, self._stride, self._dtype = tensor.shape, tensor.stride(), tensor.dtype

    def make(self) -> Tensor:
        return torch.empty_strided(self._shape, self._stride, dtype=self._dtype, device=META)


class DryParts:
    """``Parts`` on the meta device; see ``restorers.parts``.

    Args:
        networks: by name, on the meta device, each in the precision that it computes in.
        dtype: of those that have no precision of their own.
        run: where is counted.
    """

    device = META

    def __init__(self, networks: Mapping[str, nn.Module], dtype: torch.dtype, run: DryRun) -> None:
        self._networks, self.dtype, self._run = networks, dtype, run
        for network in networks.values():
            remember(network, run)

    def use(self, *names: str) -> tuple[nn.Module, ...]:
        """See ``Parts``."""
        networks = tuple(self._networks[name] for name in names)
        self._run.begin(" and ".join(names), sum(weight_bytes(network) for network in networks))
        return networks


def remember(network: nn.Module, run: DryRun) -> None:
    """Let a network be gone through once for inputs of the same sizes, an autoencoder's ways each for itself."""
    ways: list[tuple[Any, str]] = [(network, "forward")]
    if hasattr(network, "encoder") and hasattr(network, "decoder"):
        ways = [(network.encoder, "forward"), (network.decoder, "forward")]
    elif hasattr(network, "encode"):
        ways = [(network, "encode"), (network, "decode")]
    for owner, name in ways:
        setattr(owner, name, run.remembered(getattr(owner, name)))


def weight_bytes(network: nn.Module) -> int:
    """Of all that is in a network."""
    return sum(value.nbytes for value in (*network.parameters(), *network.buffers()))


@contextmanager
def counting(held: Sequence[nn.Module] = ()) -> Iterator[DryRun]:
    """Within this context, what is done on the meta device is counted.

    Args:
        held: networks that are there; their weights are not counted as tensors beside them.
    """
    run = DryRun()
    weights = [value for network in held for value in (*network.parameters(), *network.buffers())]
    with ExitStack() as stack:
        for mode in (run.memory, run.counter):
            stack.enter_context(mode)
        run.memory.hold(weights)
        run.memory.live = run.memory.peak = 0
        for mode in (_Fused(), _NoNumbers()):
            stack.enter_context(mode)
        stack.enter_context(patch.object(torch, "autocast", _Autocast))
        yield run
        run.close()


class _NoNumbers(TorchDispatchMode):
    """Gives zeros where numbers of the meta device are asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return torch.zeros((), dtype=args[0].dtype).item()
        if func is torch.ops.aten._to_copy.default and args[0].is_meta and kwargs.get("device", META) != META:
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype, device=kwargs["device"])
        if func is torch.ops.aten.unique_dim.default and args[0].is_meta:
            rows = args[0]  # of zeros, which are all the same
            return rows[:1], rows.new_zeros(len(rows), dtype=torch.long), rows.new_ones(1, dtype=torch.long)
        with self:  # in inference mode composed operations come as they are
            found = func.decompose(*args, **kwargs)
        return func(*args, **kwargs) if found is NotImplemented else found


class _Fused(TorchFunctionMode):
    """Attention of meta tensors is a kernel that holds no scores."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention and args[0].is_meta and args[0].ndim == 4:
            return torch.ops.aten._scaled_dot_product_flash_attention(*args[:3])[0]
        return func(*args, **(kwargs or {}))


class _Autocast(TorchFunctionMode):
    """``torch.autocast``, which the meta device does not have."""

    def __init__(self, device_type: str, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        dtype = self._dtype if func in _HALF else torch.float32 if func in _SINGLE else None
        if dtype is not None:
            args = tree_map_only(Tensor, lambda x: x.to(dtype), args)
            kwargs = tree_map_only(Tensor, lambda x: x.to(dtype), kwargs)
        return func(*args, **(kwargs or {}))
