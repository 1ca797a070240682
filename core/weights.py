"""What a diffusion system needs, and which of it is on this machine, under whatever name."""

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..models.published import SYSTEMS, TEXT_REPOSITORIES, Needed, System, choices
from .errors import SettingError, WeightsError, WeightsNotFoundError
from .space import readable
from .weights_shapes import TOKENIZERS, WEIGHTS_SUFFIXES, Shapes, read_shapes

_SNAPSHOTS = "snapshots"  # Hugging Face's name of the folder that files of a repository lie in


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
        except (WeightsError, OSError) as error:
            note = str(error) if named else note
    if candidates:
        return Found(needed, min(candidates)[-1])
    return Found(needed, None, note or _half(needed, folders))


def _may_be(needed: Needed, name: str) -> bool:
    """Whether a name says nothing against it."""
    rightly = not needed.only or any(part in name for part in needed.only)
    return rightly and not any(part in name for part in needed.but)


def _files(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Every file once, with what names it: its folder that is looked into, the ones below, itself; small letters.

    Of the cache it is the repository and what lies in it: the revision between them is a hash, which names nothing.
    """
    seen = set()
    for folder in folders:
        cached = folder.name == _SNAPSHOTS
        top = folder.parent.name if cached else folder.name
        for path in sorted(folder.rglob("*")):
            fits = path.suffix in WEIGHTS_SUFFIXES or path.name.endswith(TOKENIZERS)
            if fits and path not in seen and path.is_file():
                seen.add(path)
                yield path, "/".join((top, *path.relative_to(folder).parts[cached:])).lower()


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
