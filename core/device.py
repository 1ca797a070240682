"""Where to compute, and how much memory may be used there."""

import gc

import psutil
import torch

from .config import DEVICE
from .errors import SettingError
from .space import readable

_CPU_SHARE = 0.5
"""Of the memory that is available now; the rest is for decoding, encoding and everybody else."""

_GPU_SHARE = 0.8
"""Of the memory that is free now; the rest is for the libraries' work space and for fragments."""

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "could not allocate",
    "could not create a primitive",
    "bad_alloc",
    "status_alloc_failed",
)
"""What PyTorch, cuDNN, cuBLAS and oneDNN say in a plain RuntimeError."""

_FIRST_QUICK_HALF = (7, 0)
"""CUDA's compute capability; cards before take up to 64 times as long for half precision as for single."""

_NO_HALF = "GTX 16"
"""Cards whose convolutions in half precision come out as NaN with some versions of cuDNN."""


def pick_device(name: str) -> torch.device:
    """The device named ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``, which is CUDA if there is any, else the CPU.

    Raises:
        SettingError: PyTorch knows no such device, or this machine has none.
    """
    if name == DEVICE:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingError(
            f"Expected a device of this machine, such as cpu or cuda, got {name!r}: {str(error).splitlines()[0]}; "
            f"choose {DEVICE}."
        ) from error
    return device


def memory_budget(device: torch.device) -> int:
    """Bytes that a restorer may use beside its weights."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by PyTorch, for later
        return int((torch.cuda.mem_get_info(device)[0] + kept) * _GPU_SHARE)
    return int(psutil.virtual_memory().available * _CPU_SHARE)


def quick_dtype(device: torch.device) -> torch.dtype:
    """What convolutions are best computed in: float16 on cards that are quick with it and get it right."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < _FIRST_QUICK_HALF:
        return torch.float32
    return torch.float32 if _NO_HALF in torch.cuda.get_device_name(device) else torch.float16


def memory_in_use() -> str:
    """What this program holds of the memory, and what everybody holds of the GPU's, for people."""
    words = f"memory {readable(psutil.Process().memory_info().rss)}"
    if torch.cuda.is_initialized():  # asking a card that nobody uses would take hundreds of megabytes of it
        free, total = torch.cuda.mem_get_info()
        words += f", GPU {readable(total - free)} of {readable(total)}"
    return words


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on the GPU or the CPU."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in words for sign in _OUT_OF_MEMORY)


def free_memory() -> None:
    """Give back what nobody refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
