"""Our networks under ComfyUI's memory management."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import comfy.model_management
import comfy.model_patcher
import torch

from ...core.config import CLIP_BATCH, FIDELITY, RecurrentConfig
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

_MEMORY_SHARE = 0.6
_CLIP_BYTES = 300  # a pixel, of the features of CLIP's ResNet; measured 204

_PART_BYTES = 1_000_000_000  # room for the work of a network, besides its weights

_held_parts: dict[tuple[tuple[str, Path, int], ...], "HostParts"] = {}
"""The networks of the diffusion system that was used last, by their files."""

_FLOW_BYTES = 1_200_000_000  # RAFT's correlations of one picture at MOTION_SIDE, and the features around them


def loaded_restorer(name: str, config: RecurrentConfig, fidelity: float = FIDELITY) -> Restorer:
    """A restorer with its weights loaded under ComfyUI's memory management, ready to run."""
    path = find_weights(name, weights_folders())
    changed = [end.stat().st_mtime_ns for end in (path, detail_end(path)) if end.is_file()]
    patcher = _patcher(path, fidelity, tuple(changed))
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    device = patcher.load_device
    memory = int(comfy.model_management.get_free_memory(device) * _MEMORY_SHARE)
    return make_restorer(patcher.model, config, device, memory)


def loaded_clip_iqa(path: Path, pairs: tuple[Pair, ...], size: tuple[int, int]) -> ClipIqa:
    """CLIP-IQA under ComfyUI's memory management, ready for frames of a size (width, height) in pixels."""
    patcher = _clip_patcher(path, pairs, path.stat().st_mtime_ns)
    needed = max(size[0] * size[1], CLIP_BATCH[1]) * _CLIP_BYTES
    comfy.model_management.load_models_gpu([patcher], memory_required=needed, force_full_load=True)
    return patcher.model


def loaded_flow(name: str = SHIPPED_FLOW) -> Flow:
    """A flow network under ComfyUI's memory management, ready for pictures as large as motion is looked for in.

    Args:
        name: from ``core.motion.networks.list_flow_nets``.
    """
    path = find_flow_net(name, flow_folders())
    patcher = _flow_patcher(path, path.stat().st_mtime_ns if path else 0)
    comfy.model_management.load_models_gpu([patcher], memory_required=_FLOW_BYTES, force_full_load=True)
    return Flow(patcher.model, patcher.load_device)


class _Held(torch.nn.Module):
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
    """

    def __init__(self, networks: Mapping[str, torch.nn.Module], dtype: torch.dtype, exact: Sequence[str] = ()) -> None:
        self.device, self.dtype = compute_device(), dtype
        rest = torch.device("cpu")
        self._patchers = {
            name: comfy.model_patcher.ModelPatcher(
                _Held(network.to(torch.float32 if name in exact else self.dtype)), self.device, rest
            )
            for name, network in networks.items()
        }

    def use(self, *names: str) -> tuple[torch.nn.Module, ...]:
        """See ``core.restorers.parts.Parts``."""
        wanted = [self._patchers[name] for name in names]
        comfy.model_management.load_models_gpu(wanted, memory_required=_PART_BYTES, force_full_load=True)
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
    """The networks of a diffusion system, found in ComfyUI's folders; kept until another system is asked for.

    Raises:
        WeightsError: a file is missing, and the message says how to get it; or it is not what it should be.
    """
    files = require_files(find_system(system), diffusion_folders())
    key = tuple((name, path, path.stat().st_mtime_ns) for name, path in files.items())
    if key not in _held_parts:
        _held_parts.clear()  # before the next are read: both may not fit
        networks = load_parts(system, files)
        _held_parts[key] = HostParts(networks, compute_dtype(system, compute_device()), exact_parts(system))
    return _held_parts[key]


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
    device = comfy.model_management.get_torch_device()
    files = weights_size(folder)
    if precision == "4-bit":
        comfy.model_management.free_memory(files / 2, device)
        yield load_vlm(folder, device, precision)
        return
    if not keep:
        _vlm_patcher.cache_clear()
    make = _vlm_patcher if keep else _vlm_patcher.__wrapped__
    patcher = make(folder, precision, files)
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    try:
        yield patcher.model
    finally:
        patcher.detach()
        comfy.model_management.soft_empty_cache()


@lru_cache(maxsize=2)
def _patcher(path: Path, fidelity: float, changed: tuple[int, ...]) -> comfy.model_patcher.ModelPatcher:
    """The network under the host's management; kept, so that the host can keep it loaded between runs."""
    device = comfy.model_management.get_torch_device()
    network = load_dialled(path, fidelity)
    if device.type == "cuda":
        network = network.half()
    return comfy.model_patcher.ModelPatcher(network, device, torch.device("cpu"))


@lru_cache(maxsize=1)
def _clip_patcher(path: Path, pairs: tuple[Pair, ...], changed: int) -> comfy.model_patcher.ModelPatcher:
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(load_clip_iqa(path, pairs), device, torch.device("cpu"))


@lru_cache(maxsize=2)
def _flow_patcher(path: Path | None, changed: int) -> comfy.model_patcher.ModelPatcher:
    return comfy.model_patcher.ModelPatcher(load_flow_net(path), compute_device(), torch.device("cpu"))


@lru_cache(maxsize=1)
def _vlm_patcher(folder: Path, precision: Precision, files: int) -> comfy.model_patcher.ModelPatcher:
    device, rest = comfy.model_management.get_torch_device(), torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(load_vlm(folder, device, precision, rest), device, rest)
