"""The weights that ship with the pack, and finding any weights file by its name."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DamagedWeightsError, WeightsNotFoundError
from .published import SYSTEMS

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
"""What a weights file may end in."""

DETAIL = "-detail"
"""What the name of a detail end's file adds to that of the fidelity end's; see ``dial``."""

FOLDER = Path(__file__).parent / "weights"

_OTHERS = {Path(needed.file).stem for system in SYSTEMS for needed in system.needs}


@dataclass(frozen=True)
class Shipped:
    """A shipped weights file.

    Attributes:
        name: what users choose.
        file: its name in ``models/weights``.
        sha256: of the file.
        licence: SPDX identifier.
        purpose: one sentence on when to choose it.
        detail_sha256: of its detail end, the file at ``detail_end``; empty if it has none.
    """

    name: str
    file: str
    sha256: str
    licence: str
    purpose: str
    detail_sha256: str = ""


SHIPPED = (
    Shipped(
        name="textovsr-lite",
        file="textovsr-lite.safetensors",
        sha256="2e01df07a77a8d58561131a6e70a8929e7e6ee030c8650c050febf8d01ec69dc",
        licence="Apache-2.0",
        purpose="32 channels: quick on a CPU.",
        detail_sha256="c9c8147da327a1022f536ebb72d972beb1313d8e19e43e2f7c7df6872a1495f7",
    ),
    Shipped(
        name="textovsr-base",
        file="textovsr-base.safetensors",
        sha256="8286ba7b443d4aa0922d123295fd6b27a97ab51539ba629f19d7762fae82fe42",
        licence="Apache-2.0",
        purpose="64 channels: finer, four times slower; for a GPU, or patience.",
        detail_sha256="4eb2fce675d260afb573bd91006dda94058ed460bb80f96ab034183986ba3648",
    ),
    Shipped(
        name="sdatc-dcm",
        file="sdatc-dcm.safetensors",
        sha256="d72d048f282a52cf4ce98dde02487017fccb5b8b06064ad561e8a32b943307fa",
        licence="Apache-2.0",
        purpose="Takes back compression, each frame for itself and without words: SDATC's first module alone.",
    ),
)
"""The first one is the default."""

DEGRADATION = Shipped(
    name="degradation",
    file="degradation.safetensors",
    sha256="42697b619dce737b4ad9fcf20034e18b184a5c446f18395d468955197304ee16",
    licence="Apache-2.0",
    purpose="Tells how a video was spoilt; upscales nothing.",
)
"""None of ``SHIPPED``: nobody chooses it."""

NIQE = Shipped(
    name="niqe",
    file="niqe.safetensors",
    sha256="bbf21bd9a978e0438d60ca1cadce2047c1dba260324b8dee805ac93df3aaa2ef",
    licence="Apache-2.0",
    purpose="The statistics of natural pictures that NIQE compares with.",
)

BRISQUE = Shipped(
    name="brisque",
    file="brisque.safetensors",
    sha256="eecc76f279deee9609e6c6a5d24fcc25d285bc2686cc21f70701c0f5d8451f59",
    licence="LicenseRef-LIVE-BRISQUE",
    purpose="The support vectors of BRISQUE.",
)

MEASURES = (NIQE, BRISQUE)
"""Parameters of measures; nobody chooses them either."""


def list_weights(folders: Sequence[Path]) -> list[str]:
    """Names to choose from: the shipped ones first, then the files in ``folders``, relative to them.

    Detail ends are none of their own. The files of the diffusion systems, under their published names in any of
    ``SUFFIXES``, are passed over: no recurrent network is in them.
    """
    found = {
        path: path.relative_to(folder).as_posix()
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in SUFFIXES and path.stem not in _OTHERS and path.is_file()
    }
    ends = {detail_end(path) for path in found}
    return [shipped.name for shipped in SHIPPED] + sorted({name for path, name in found.items() if path not in ends})


def detail_end(path: Path) -> Path:
    """Where the detail end of a weights file is, if it has one: beside it."""
    return path.with_stem(path.stem + DETAIL)


def find_weights(name: str, folders: Sequence[Path]) -> Path:
    """The file behind a name from ``list_weights``.

    Raises:
        WeightsNotFoundError: nothing has that name.
        DamagedWeightsError: a shipped file is not the one that was shipped.
    """
    for shipped in SHIPPED:
        if name == shipped.name:
            return _verified(shipped)
    for folder in folders:
        path = (folder / name).resolve()
        if path.is_file() and path.is_relative_to(folder.resolve()):
            return path
    places = ", ".join(str(folder) for folder in folders) or "no folder"
    raise WeightsNotFoundError(
        f"Expected weights named {' or '.join(list_weights(folders))}, got {name!r}; "
        f"choose one of these, or put the file into {places}."
    )


def find_shipped(shipped: Shipped) -> Path:
    """The file of a shipped entry.

    Raises:
        DamagedWeightsError: it is not the one that was shipped.
    """
    return _verified(shipped)


def _verified(shipped: Shipped) -> Path:
    path = FOLDER / shipped.file
    _check(path, shipped.sha256)
    if shipped.detail_sha256:
        _check(detail_end(path), shipped.detail_sha256)
    return path


def _check(path: Path, sha256: str) -> None:
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise DamagedWeightsError(
            f"Expected the shipped weights {path.name} with SHA-256 {sha256[:12]}..., got "
            f"{'another file' if path.is_file() else 'none'} at {path}; install the pack again."
        )
