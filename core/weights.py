"""What a diffusion system needs, and which of it is on this machine, under whatever name."""

import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..models.catalog import SUFFIXES
from ..models.published import SYSTEMS, TEXT_REPOSITORIES, Needed, System, choices
from .errors import DamagedWeightsError, SettingError, WeightsNotFoundError
from .space import readable

WEIGHTS_SUFFIXES = (*SUFFIXES, ".bin")

TOKENIZER = "tokenizer.json"
"""What the name of a tokenizer's file ends in."""

Shapes = Mapping[str, tuple[int, ...]]
"""The keys of a file, or those that tell networks apart, and the sizes of its tensors."""

_TELLING = tuple(
    {
        key
        for system in SYSTEMS
        for needed in system.needs
        for keys in (needed.keys, *needed.layouts, needed.without)
        for key in keys
    }
)

_SNAPSHOTS = "snapshots"  # Hugging Face's name of the folder that files of a repository lie in

_LONGEST_HEADER = 100_000_000  # of a safetensors file, in bytes
_UNMAPPED = 100_000_000  # bytes of a file of before torch 1.6, which has to be read whole to be looked into


@dataclass(frozen=True)
class Found:
    """What there is of something that is needed.

    Attributes:
        needed: what.
        path: the file that holds it; None if there is none.
        note: what is wrong with a file that should hold it, or how much of a download has come.
    """

    needed: Needed
    path: Path | None
    note: str = ""

    @property
    def lacking(self) -> bool:
        """Whether there is neither it nor anything that stands in for it."""
        return self.path is None and not self.needed.spare


def find_system(name: str, variant: str = "") -> System:
    """A system by its name or its title, as one of its variants.

    Args:
        name: or title; a title may name the variant too.
        variant: "" for the one that ``name`` names, or else the first.

    Raises:
        SettingError: there is none of that name, or it has no such variant.
    """
    for system in SYSTEMS:
        found = choices(system)
        if name not in (system.name, system.title):
            found = tuple(choice for choice in found if choice.title == name)
        for choice in found:
            if variant in ("", choice.variant):
                return choice
        if found:
            known = " or ".join(system.variants) or "none"
            raise SettingError(f"Expected a variant of {system.title}, {known}, got {variant!r}; choose one of these.")
    *names, last = (system.name for system in SYSTEMS)
    raise SettingError(f"Expected {', '.join(names)} or {last}, got {name!r}; choose one of these.")


def find_files(system: System, folders: Sequence[Path]) -> list[Found]:
    """Look for everything a system needs.

    A file counts by what it holds, not by its name: of safetensors the header is read, of pickled files such as have a
    likely name are opened, without reading their tensors. A file that holds more than one of the networks is preferred,
    then safetensors, then the smaller file.

    Args:
        system: what to look for.
        folders: where, subfolders included; Hugging Face's cache is looked into besides.
    """
    files = dict(_files([*folders, *hub_folders(system)]))
    found: list[Found] = []
    for needed in system.needs:
        chosen = {one.path for one in found if one.path is not None}
        found.append(_find(needed, files, folders, chosen))
    return found


def require_files(system: System, folders: Sequence[Path]) -> dict[str, Path]:
    """The file of every network a system needs, by the network's name; without those that something else stands in for.

    Raises:
        WeightsNotFoundError: something is missing; the message says how to get it.
    """
    found = find_files(system, folders)
    missing = [one for one in found if one.lacking]
    if missing:
        raise WeightsNotFoundError(
            f"Expected the files of {system.title}, {' and '.join(_lacking(one) for one in missing)} missing; "
            f"{_ways(system, missing)}or put the files into "
            f"{' or '.join(map(str, folders)) or 'a folder that TEXTOVSR_WEIGHTS names'}."
        )
    return {one.needed.name: one.path for one in found if one.path is not None}


def to_download(found: Sequence[Found], spared: bool = False) -> list[Needed]:
    """What is missing, is published, and does not come inside another file that is missing too.

    Args:
        found: what there is of a system.
        spared: also that for which something of ours stands in.
    """
    there = {one.needed.name: one.path is not None for one in found}
    missing = [one.needed for one in found if one.needed.places and (one.lacking or (spared and one.path is None))]
    return [needed for needed in missing if not needed.inside or there[needed.inside]]


def hub_folders(system: System) -> list[Path]:
    """The folders in Hugging Face's cache that may hold something of a system."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    names = (*system.repositories, *TEXT_REPOSITORIES)
    return [hub / f"models--{name.replace('/', '--')}" / _SNAPSHOTS for name in names]


def read_shapes(path: Path) -> Shapes:
    """The keys of a file that tell networks apart, and the sizes of their tensors, which are not read.

    Memory: the answers for the files that were looked into last are kept.

    Raises:
        DamagedWeightsError: the file is cut short or holds code.
    """
    stat = path.stat()
    return _read_shapes(path, stat.st_size, stat.st_mtime_ns)


def holds(needed: Needed, shapes: Shapes, named: bool = False) -> bool:
    """Whether a file with these keys holds a network; one with the published name may be of another size."""
    if any(key.endswith(needed.without) for key in shapes):
        return False
    sized = () if named else needed.shape
    return any(_holds_all(keys, sized, shapes) for keys in (needed.keys, *needed.layouts))


def _holds_all(keys: Sequence[str], sized: tuple[int, ...], shapes: Shapes) -> bool:
    first, *others = keys
    if not any(key.endswith(first) and sized in ((), shape) for key, shape in shapes.items()):
        return False
    return all(any(key.endswith(other) for key in shapes) for other in others)


def _find(needed: Needed, files: Mapping[Path, str], folders: Sequence[Path], chosen: Set[Path]) -> Found:
    """Look among files, given with what names them; those that were chosen for other networks go before the rest."""
    candidates, note = [], ""
    for place, (path, name) in enumerate(files.items()):
        if path not in chosen and not _may_be(needed, name):
            continue
        named = path.stem == Path(needed.file).stem
        safe = path.suffix == ".safetensors"
        if not (safe or named or any(part in name for part in needed.likely)):
            continue
        try:
            if holds(needed, read_shapes(path), named):
                candidates.append((path not in chosen, not named, not safe, path.stat().st_size, place, path))
        except (DamagedWeightsError, OSError) as error:
            note = str(error) if named else note
    if candidates:
        return Found(needed, min(candidates)[-1])
    return Found(needed, None, note or _half(needed, folders))


def _may_be(needed: Needed, name: str) -> bool:
    """Whether a name says nothing against it."""
    rightly = not needed.only or any(part in name for part in needed.only)
    return rightly and not any(part in name for part in needed.but)


def _files(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Every file once, with what names it: its folder that is looked into, the ones below, itself; small letters."""
    seen = set()
    for folder in folders:
        top = folder.parent.name if folder.name == _SNAPSHOTS else folder.name
        for path in sorted(folder.rglob("*")):
            fits = path.suffix in WEIGHTS_SUFFIXES or path.name.endswith(TOKENIZER)
            if fits and path not in seen and path.is_file():
                seen.add(path)
                yield path, "/".join((top, *path.relative_to(folder).parts)).lower()


def _half(needed: Needed, folders: Sequence[Path]) -> str:
    """How much of a download has come."""
    for folder in folders:
        with suppress(OSError):
            size = (folder / f"{needed.file}.part").stat().st_size
            return f"{readable(size)} are downloaded"
    return ""


def _lacking(one: Found) -> str:
    return f"{one.needed.file} ({one.needed.name}{'; ' + one.note if one.note else ''})"


def _ways(system: System, missing: Sequence[Found]) -> str:
    """How to get what is missing."""
    make = dict.fromkeys(one.needed.training for one in missing if one.needed.training)
    ways = "".join(f"it needs trained weights, which nobody publishes: train them, `{command}`; " for command in make)
    if all(one.needed.training for one in missing):
        return ways
    variant = f" --variant {system.variant}" if system.variant else ""
    return (
        f"{ways}run `textovsr weights get {system.name}{variant}` or the node Diffusion Weights, which say what it is, "
        "how large and under what licence before anything is downloaded; "
    )


@lru_cache(maxsize=4096)
def _read_shapes(path: Path, size: int, changed: int) -> Shapes:
    return {key: shape for key, shape in _all_shapes(path, size).items() if key.endswith(_TELLING)}


def _all_shapes(path: Path, size: int) -> Shapes:
    if path.name.endswith(TOKENIZER):
        return _vocabulary(path, size)
    if path.suffix != ".safetensors":
        from ..models.pickled import open_pickled, tensors_of  # loads torch, which a listing can do without

        with path.open("rb") as file:
            if file.read(2) != b"PK" and size > _UNMAPPED:
                return {}
        return {key: tuple(value.shape) for key, value in tensors_of(open_pickled(path, mapped=True)).items()}
    return _header_shapes(path, size)


def _vocabulary(path: Path, size: int) -> Shapes:
    """Of a tokenizer: its kind, and how many pieces it knows."""
    try:
        model = json.loads(path.read_bytes())["model"]
        return {f"tokenizer.{model['type']}": (len(model["vocab"]),)}
    except (ValueError, LookupError, TypeError) as error:
        raise DamagedWeightsError(
            f"Expected a tokenizer in {path} ({size} bytes), got something else; download or copy it again."
        ) from error


def _header_shapes(path: Path, size: int) -> Shapes:
    """From the header of a safetensors file, which says where its data end."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        header = file.read(length) if length + 8 <= size and length <= _LONGEST_HEADER else b""
    try:
        entries = {key: value for key, value in json.loads(header).items() if key != "__metadata__"}
        end = 8 + length + max((value["data_offsets"][1] for value in entries.values()), default=0)
        shapes = {key: tuple(value["shape"]) for key, value in entries.items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DamagedWeightsError(
            f"Expected a whole safetensors file, got {path} ({size} bytes), whose header is damaged; download or copy "
            "it again."
        ) from error
    if end > size:
        raise DamagedWeightsError(
            f"Expected {end} bytes in {path}, got {size}: it is cut short; download or copy it again."
        )
    return shapes
