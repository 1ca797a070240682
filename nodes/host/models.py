"""Our networks under ComfyUI's memory management."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import comfy.model_management
import comfy.model_patcher
import torch

from ...core.config import CLIP_BATCH, FIDELITY, RecurrentConfig
from ...core.device import quick_dtype
from ...core.motion.flow import Flow
from ...core.motion.networks import SHIPPED_FLOW, find_flow_net, load_flow_net
from ...core.quality.clip_iqa import ClipIqa, Pair, load_clip_iqa
from ...core.restorer import Restorer
from ...core.restorers.loading import make_restorer
from ...core.restorers.systems import compute_dtype, exact_parts, load_parts
from ...core.text.vlm import VisionLanguageModel
from ...core.text.vlm_folders import Precision, load_vlm, weights_size
from ...core.weights import find_system, require_files
from ...models.catalog import detail_end, find_weights
from ...models.dial import load_dialled
from .folders import diffusion_folders, flow_folders, weights_folders
from .held import Held, load

_MEMORY_SHARE = 0.6
_CLIP_BYTES = 300  # a pixel, of the features of CLIP's ResNet; measured 204

_PART_BYTES = 1_000_000_000  # room for the work of a network, besides its weights

_FLOW_BYTES = 1_200_000_000  # RAFT's correlations of one picture at MOTION_SIDE, and the features around them

_held_restorers: Held[comfy.model_patcher.ModelPatcher] = Held(2)
_held_clips: Held[comfy.model_patcher.ModelPatcher] = Held(1)
_held_flows: Held[comfy.model_patcher.ModelPatcher] = Held(2)
_held_vlms: Held[comfy.model_patcher.ModelPatcher] = Held(1, stay=True)
_held_parts: Held["HostParts"] = Held(1)


def loaded_restorer(name: str, config: RecurrentConfig, fidelity: float = FIDELITY) -> Restorer:
    """A restorer with its weights loaded under ComfyUI's memory management, ready to run."""
    path = find_weights(name, weights_folders())
    changed = tuple(end.stat().st_mtime_ns for end in (path, detail_end(path)) if end.is_file())
    patcher = _loaded(_held_restorers, (path, fidelity, changed), lambda: _network(path, fidelity))
    device = patcher.load_device
    memory = int(comfy.model_management.get_free_memory(device) * _MEMORY_SHARE)
    return make_restorer(patcher.model, config, device, memory)


def _network(path: Path, fidelity: float) -> torch.nn.Module:
    return load_dialled(path, fidelity).to(quick_dtype(compute_device()))


def loaded_clip_iqa(path: Path, pairs: tuple[Pair, ...], size: tuple[int, int]) -> ClipIqa:
    """CLIP-IQA under ComfyUI's memory management, ready for frames of a size (width, height) in pixels."""
    needed = max(size[0] * size[1], CLIP_BATCH[1]) * _CLIP_BYTES
    key = (path, pairs, path.stat().st_mtime_ns)
    return _loaded(_held_clips, key, lambda: load_clip_iqa(path, pairs), needed).model


def loaded_flow(name: str = SHIPPED_FLOW) -> Flow:
    """A flow network under ComfyUI's memory management, ready for pictures as large as motion is looked for in.

    Args:
        name: from ``core.motion.networks.list_flow_nets``.
    """
    path = find_flow_net(name, flow_folders())
    key = (path, path.stat().st_mtime_ns if path else 0)
    patcher = _loaded(_held_flows, key, lambda: load_flow_net(path), _FLOW_BYTES)
    return Flow(patcher.model, patcher.load_device)


def _loaded(
    held: Held[comfy.model_patcher.ModelPatcher],
    key: tuple[object, ...],
    make: Callable[[], torch.nn.Module],
    memory: int = 0,
) -> comfy.model_patcher.ModelPatcher:
    """The network of that key, made if it is not held, and loaded with so many bytes of room beside it."""
    rest = torch.device("cpu")
    patcher = held.get(key, lambda: comfy.model_patcher.ModelPatcher(make(), compute_device(), rest))
    load([patcher], memory)
    held.follow(key, patcher, [patcher])
    return patcher


class _Hull(torch.nn.Module):
    """A network in a hull that ComfyUI may set attributes of: a network of diffusers allows no ``device``."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network


class HostParts:
    """``Parts`` under ComfyUI's memory management: on the device when asked for, elsewhere when others need the room.

    Args:
        networks: by name, in eval mode, on the CPU.
        dtype: what they compute in.
        exact: those that compute in float32 whatever the others do.
        used: called with all of them whenever some were loaded.
    """

    def __init__(
        self,
        networks: Mapping[str, torch.nn.Module],
        dtype: torch.dtype,
        exact: Sequence[str] = (),
        used: Callable[["HostParts", Sequence[comfy.model_patcher.ModelPatcher]], None] = lambda *_: None,
    ) -> None:
        self.device, self.dtype = compute_device(), dtype
        self._used = used
        rest = torch.device("cpu")
        self._patchers = {
            name: comfy.model_patcher.ModelPatcher(
                _Hull(network.to(torch.float32 if name in exact else self.dtype)), self.device, rest
            )
            for name, network in networks.items()
        }

    def use(self, *names: str) -> tuple[torch.nn.Module, ...]:
        """See ``core.restorers.parts.Parts``."""
        wanted = [self._patchers[name] for name in names]
        load(wanted, _PART_BYTES)
        self._used(self, tuple(self._patchers.values()))
        return tuple(patcher.model.network for patcher in wanted)

    @property
    def memory(self) -> int:
        """Bytes that may be used beside the largest of them, once everything else has been moved away."""
        if self.device.type == "cpu":
            room = comfy.model_management.get_free_memory(self.device)
        else:
            largest = max(patcher.model_size() for patcher in self._patchers.values())
            room = max(comfy.model_management.get_total_memory(self.device) - largest, 0)
        return int(room * _MEMORY_SHARE)


def loaded_parts(system: str) -> HostParts:
    """The networks of a diffusion system, found in ComfyUI's folders; held as long as ComfyUI has one of them loaded.

    Raises:
        WeightsError: a file is missing, and the message says how to get it; or it is not what it should be.
    """
    files = require_files(find_system(system), diffusion_folders())
    key = tuple((name, path, path.stat().st_mtime_ns) for name, path in files.items())

    def follow(parts: HostParts, patchers: Sequence[comfy.model_patcher.ModelPatcher]) -> None:
        _held_parts.follow(key, parts, patchers)

    def make() -> HostParts:
        dtype = compute_dtype(system, compute_device())
        return HostParts(load_parts(system, files), dtype, exact_parts(system), follow)

    return _held_parts.get(key, make)


def device_with_room(memory: int) -> torch.device:
    """Where ComfyUI computes, with so many bytes made free there for networks that it does not manage."""
    device = compute_device()
    comfy.model_management.free_memory(memory, device)
    return device


def compute_device() -> torch.device:
    """Where ComfyUI computes, which may be the CPU although there is a graphics card."""
    return comfy.model_management.get_torch_device()


@contextmanager
def loaded_vlm(folder: Path, precision: Precision, keep: bool) -> Iterator[VisionLanguageModel]:
    """A vision-language model under ComfyUI's memory management, off the graphics card afterwards.

    Args:
        folder: of the model.
        precision: what it computes in. In 4 bit it cannot be moved, and is let go as a whole.
        keep: hold it in main memory until another one is used.
    """
    device = compute_device()
    files = weights_size(folder)
    if precision == "4-bit":
        comfy.model_management.free_memory(files / 2, device)
        yield load_vlm(folder, device, precision)
        return

    def make() -> comfy.model_patcher.ModelPatcher:
        rest = torch.device("cpu")
        return comfy.model_patcher.ModelPatcher(load_vlm(folder, device, precision, rest), device, rest)

    if not keep:
        _held_vlms.clear()
    key = (folder, precision, files)
    patcher = _held_vlms.get(key, make) if keep else make()
    load([patcher])
    if keep:
        _held_vlms.follow(key, patcher, [patcher])
    try:
        yield patcher.model
    finally:
        patcher.detach()
        comfy.model_management.soft_empty_cache()
