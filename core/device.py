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
)
"""What PyTorch, cuDNN and oneDNN say in a plain RuntimeError."""


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
        return int(torch.cuda.mem_get_info(device)[0] * _GPU_SHARE)
    return int(psutil.virtual_memory().available * _CPU_SHARE)


def memory_in_use() -> str:
    """What this program holds of the memory, and what everybody holds of the GPU's, for people."""
    words = f"memory {readable(psutil.Process().memory_info().rss)}"
    if torch.cuda.is_available():
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
