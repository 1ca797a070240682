"""Fuzz targets for the files of the diffusion systems: how they are found, what they are taken for, how they are read.

They begin with the header of a whole small file, and change names, sizes, types and what the header says; see
``headers``.
"""

import json
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from textovsr.core.errors import WeightsError
from textovsr.core.weights import find_files, require_files
from textovsr.core.weights_report import as_values, in_words
from textovsr.models.diffvsr import config as diffvsr
from textovsr.models.diffvsr.unet import UNet as DiffVsrUNet
from textovsr.models.diffvsr.vae import VAE
from textovsr.models.mgld import config as mgld
from textovsr.models.mgld.denoiser import Denoiser
from textovsr.models.mgld.video_vae import VideoVAE
from textovsr.models.published import SYSTEMS, choices
from textovsr.models.published.needed import System
from textovsr.models.registry import MGLD_VAES, load_network, read_metadata, read_state_dict
from textovsr.models.sdatc.base import load_unet, load_vae
from textovsr.models.sdatc.checkpoint import build_stage1, build_stage2, find_stage, read_header
from textovsr.models.star.config import StarNetConfig
from textovsr.models.star.net import StarNet
from textovsr.tests.helpers import sdatc

from .headers import Header, changed, header_of, write
from .media import scratch
from .published import PUBLISHED

_CHOICES = tuple(choice for system in SYSTEMS for choice in choices(system))
_HASH = "0123456789abcdef"
_VALUES = (0, -1, 1, 2, 2.5, 3, 33, 64, 10**6, 1 << 62, 1 << 70, 1e308, True, None, "light", "copy", "cube", "x")
_LISTS = ([], [1], [1, 1], [2, "2"], [0.5, 1], [9], {}, {"x": 1}, [[]], float("nan"), float("inf"))
_MIDDLE = re.compile(r"(model\.diffusion_model\.middle_block\.)(\d)")
_CONFIG = 16
"""Bytes at the end of an input that change what the header says; the others change tensors."""


def fuzz_networks(data: bytes) -> None:
    """A network of a diffusion system; the first byte chooses which."""
    number = data[0] % len(NETWORKS) if data else 0
    with scratch(b"", "safetensors") as path, suppress(WeightsError):
        write(path, changed(_header(number), data[1:]))
        NETWORKS[number][1](path)


def fuzz_stages(data: bytes) -> None:
    """A stage of SDATC's training; the first byte says which, and whether the last ones are its header's sizes."""
    choice = data[0] if data else 0
    end, tensors = data[1:][-_CONFIG:], data[1:][:-_CONFIG]
    said = end.decode("utf-8", "replace") if choice > 127 else json.dumps(_sizes(end))
    with scratch(b"", "safetensors") as path, suppress(WeightsError):
        write(path, changed(stage_headers()[choice % 2], tensors), {"config": said, "steps": "7"})
        state = read_state_dict(path, mapped=True)
        config, _ = read_header(read_metadata(path), str(path))
        if find_stage(state) == 1:
            build_stage1(state, config, _base()[0], str(path))
        elif find_stage(state) == 2:
            build_stage2(state, config, _base()[1], str(path))


def fuzz_find(data: bytes) -> None:
    """A folder with a file of every network that a system needs: what is found of it, and what is said of that."""
    with tempfile.TemporaryDirectory(prefix="textovsr-fuzz-") as top:
        os.environ["HF_HUB_CACHE"] = f"{top}/hub"
        system, folders = make_folders(Path(top), data)
        found = find_files(system, folders)
        json.dumps(as_values(system, found))
        in_words(system, found)
        with suppress(WeightsError):
            assert set(require_files(system, folders)) <= {needed.name for needed in system.needs}


def make_folders(top: Path, data: bytes) -> tuple[System, list[Path]]:
    """A system and the folders to look for it in; Hugging Face's cache is the folder ``hub``.

    The first byte chooses the system; the second where the files lie, and the third what they are called.
    """
    choice, place, named = data[:3] if len(data) > 2 else (0, 0, 0)
    system = _CHOICES[choice % len(_CHOICES)]
    cached = top / "hub" / f"models--{system.repositories[0].replace('/', '--')}" / "snapshots" / _HASH
    folder = (cached, top / "weights", top / "light_deg", top / "sd2")[place % 4]
    folder.mkdir(parents=True)
    for number, needed in enumerate(system.needs):
        header: Header = dict.fromkeys((needed.keys, *needed.layouts)[0], ("U8", needed.shape or (1,)))
        name = Path(needed.file).stem if named >> number & 1 else f"{(*needed.likely, 'x')[0]}-{number}"
        write(folder / f"{name}.safetensors", changed(header, data[3 + 8 * number :][:8]))
    return system, [top / "weights", folder]


def _sizes(data: bytes) -> Any:
    """SDATC's sizes after these bytes: in threes, which part, which number of it, and what that becomes."""
    sizes: dict[str, Any] = sdatc.TINY.as_dict()
    for part, key, value in zip(*(data[i::3] for i in range(3)), strict=False):
        name = list(sizes)[part % len(sizes)]
        known = list(sizes[name])
        sizes[name][(*known, "x")[key % (len(known) + 1)]] = (*_VALUES, *_LISTS)[value % len((*_VALUES, *_LISTS))]
    return sizes


def _star() -> StarNet:
    return StarNet(StarNetConfig(channels=32, multipliers=(1, 1), blocks=1, head_width=16, first_heads=1, context=8))


def _denoiser() -> Denoiser:
    unet = mgld.UNetConfig(channels=32, multipliers=(1, 1), blocks=1, head_width=16, context=8, structure=32)
    return Denoiser(unet, mgld.StructConfig(channels=32, multipliers=(1, 1), blocks=1, outputs=32))


def _published_denoiser() -> Header:
    theirs = {"unet": "model.diffusion_model.", "structure": "structcond_stage_model."}
    named: Header = {}
    for key, value in header_of(_denoiser).items():
        part, _, rest = key.partition(".")
        named[theirs[part] + rest] = value
    return named


def _pictures() -> Header:
    return header_of(lambda: VideoVAE(mgld.VAEConfig(channels=32, multipliers=(1, 1), blocks=1, video=False)))


def _original_unet() -> Header:
    """Stable Diffusion's UNet is MGLD-VSR's without structure and time."""
    held: Header = {}
    for key, value in _published_denoiser().items():
        found = _MIDDLE.match(key)
        if key.startswith("model.") and "spade" not in key and not (found and int(found[2]) % 2):
            held[f"{found[1]}{int(found[2]) // 2}{key[found.end() :]}" if found else key] = value
    return held


def _video(multipliers: tuple[int, ...] = (1, 1, 1)) -> VideoVAE:
    return VideoVAE(mgld.VAEConfig(channels=32, multipliers=multipliers, blocks=1))


def _unet(path: Path) -> object:
    return load_unet(read_state_dict(path, mapped=True), str(path))


def _vae(path: Path) -> object:
    return load_vae(read_state_dict(path, mapped=True), str(path))


NETWORKS: tuple[tuple[Callable[[], Header], Callable[[Path], object]], ...] = (
    (_published_denoiser, load_network),
    (lambda: header_of(_video), load_network),
    (_pictures, lambda path: load_network(path, MGLD_VAES)),
    (
        lambda: header_of(lambda: DiffVsrUNet(diffvsr.UNetConfig((32, 32), 1, heads=1, context=8, noise_levels=4))),
        load_network,
    ),
    (lambda: header_of(lambda: VAE(diffvsr.VAEConfig((32, 32), blocks=1))), load_network),
    (lambda: header_of(_star), load_network),
    (lambda: header_of(sdatc.tiny_unet), _unet),
    (_original_unet, _unet),
    (lambda: header_of(sdatc.tiny_vae), _vae),
    (_pictures, _vae),
    *PUBLISHED,
)
"""What a file of each holds, and what reads it."""


@cache
def _header(number: int) -> Header:
    return NETWORKS[number][0]()


@cache
def stage_headers() -> tuple[Header, Header]:
    from textovsr.models.sdatc.checkpoint import stage1_tensors, stage2_tensors

    networks: Any = sdatc.tiny_networks()
    both = (stage1_tensors(networks["dcm"], networks["denoiser"]), stage2_tensors(networks["vae"]))
    first, second = ({key: ("F16", tuple(value.shape)) for key, value in held.items()} for held in both)
    return first, second


@cache
def _base() -> tuple[Any, Any]:
    with torch.device("cpu"):
        return sdatc.tiny_unet(), sdatc.tiny_vae()
