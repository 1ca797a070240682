"""Files of CLIP with a ResNet: where they are published, where users have them, what is in them."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...models.catalog import SUFFIXES
from ...models.registry import read_state_dict
from ...models.torchscript import is_torchscript, read_torchscript
from ..errors import WeightsNotFoundError

CLIP_SUFFIXES = (*SUFFIXES, ".bin")
AUTOMATIC = "automatic"
"""The name that stands for the first file there is."""

_KEY = "visual.attnpool.c_proj.weight"
_LIKELY = re.compile(r"rn\d+|resnet\d+|open_clip|clip_iqa", re.IGNORECASE)
_PREFIXES = ("module.", "text.")
_HUB = "models--timm--resnet50_clip.openai"


@dataclass(frozen=True)
class PublishedClip:
    """A published file with the weights of OpenAI's CLIP RN50.

    Attributes:
        file: its name.
        url: where it is; the content behind it never changes.
        sha256: of the file.
        size: bytes; 0 if we do not know.
        licence: SPDX identifier.
        form: what kind of file it is.
    """

    file: str
    url: str
    sha256: str
    size: int
    licence: str
    form: str


PUBLISHED_CLIPS = (
    PublishedClip(
        file="clip_rn50_openai.safetensors",
        url="https://huggingface.co/timm/resnet50_clip.openai/resolve/ec3d92cf63a5f9d591f0d611b736895966c73076/"
        "open_clip_model.safetensors",
        sha256="da0baa37fb2211eee5729ab69ed587eb10d48f5b7076ceeed01552fc3d4cb4ee",
        size=408_291_932,
        licence="MIT",
        form="safetensors, fp32, open_clip's key names",
    ),
    PublishedClip(
        file="RN50.pt",
        url="https://openaipublic.azureedge.net/clip/models/"
        "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt",
        sha256="afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
        size=0,
        licence="MIT",
        form="TorchScript archive, fp16, OpenAI's original",
    ),
)
"""The first one is what is downloaded."""


def read_clip(path: Path) -> dict[str, Tensor]:
    """The tensors of a CLIP file under OpenAI's key names, on the CPU.

    Takes safetensors, a state_dict (.pt, .pth, .bin, .ckpt; read with ``weights_only``), open_clip's training
    checkpoints, and OpenAI's TorchScript archives, of which no code is run.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: it is cut short, holds code, or is no weights file.
    """
    state = read_torchscript(path) if is_torchscript(path) else read_state_dict(path)
    for prefix in _PREFIXES:
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def list_clips(folders: Sequence[Path]) -> list[str]:
    """Names of files that may be CLIP with a ResNet, relative to their folders; those of the first folder come first.

    A file counts if its name or its folder's says RN50, ResNet50, open_clip or the like; of safetensors the header is
    looked at too.
    """
    names = [path.relative_to(folder).as_posix() for folder in folders for path in _likely(folder)]
    return list(dict.fromkeys(names))


def find_clip(name: str, folders: Sequence[Path]) -> Path:
    """The file behind a name from ``list_clips``; ``automatic`` is the first one, or one that other programs keep.

    Raises:
        WeightsNotFoundError: there is none; the message says how to get one.
    """
    if name == AUTOMATIC:
        found = [path for folder in folders for path in _likely(folder)] or [p for p in caches() if p.is_file()]
    else:
        paths = [(folder, (folder / name).resolve()) for folder in folders]
        found = [path for folder, path in paths if path.is_file() and path.is_relative_to(folder.resolve())]
    if not found:
        raise WeightsNotFoundError(_ways(name, folders))
    return found[0]


def caches() -> list[Path]:
    """Where open_clip, the package clip, pyiqa and the Hugging Face hub keep their RN50 of OpenAI, if they have it."""
    home = Path.home() / ".cache"
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home / "huggingface") / "hub")
    snapshots = sorted(hub.glob(f"{_HUB}/snapshots/*/open_clip_model.safetensors"))
    return [*snapshots, home / "clip" / "RN50.pt", Path(torch.hub.get_dir()) / "clip" / "RN50.pt"]


def _likely(folder: Path) -> list[Path]:
    """Files of a folder, also of its subfolders, that may be CLIP with a ResNet."""
    files = (path for path in folder.rglob("*") if path.suffix in CLIP_SUFFIXES and path.is_file())
    return sorted(p for p in files if _LIKELY.search(f"{folder.name}/{p.relative_to(folder)}") and _fits(p))


def _fits(path: Path) -> bool:
    """Whether a file is CLIP with a ResNet as far as its header tells; a damaged one is left for its error."""
    if path.suffix != ".safetensors":
        return True
    try:
        with safe_open(path, framework="pt") as file:
            return any(key.endswith(_KEY) for key in file.keys())  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError):
        return True


def _ways(name: str, folders: Sequence[Path]) -> str:
    """What to do when there is no file."""
    first, other = PUBLISHED_CLIPS
    wanted = "CLIP RN50" if name == AUTOMATIC else f"the CLIP file {name}"
    places = f"one of {', '.join(map(str, folders))}" if folders else "a folder that TEXTOVSR_WEIGHTS names"
    return (
        f"Expected {wanted} for CLIP-IQA, found none. Switch download on (in the node CLIP-IQA Score, or by `textovsr "
        f"score --download`) to get it ({first.size / 1e6:.0f} MB, licence {first.licence}, from {first.url}); or put "
        f"that file, or OpenAI's {other.file} ({other.url}), into {places}; or, if it is elsewhere on this machine, "
        "link it there."
    )
