"""What is there of a diffusion system's files and what is missing, in words and as values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models.published import Needed, Place, System
from .space import readable
from .weights import Found, to_download

UNKNOWN = "unknown"


def as_values(system: System, found: Sequence[Found]) -> dict[str, Any]:
    """For JSON: a system and its networks, each with its file, where it is or where it is published, and its terms."""
    wanted = to_download(found)
    networks = [
        {
            "network": one.needed.name,
            "purpose": one.needed.what,
            "path": None if one.path is None else str(one.path),
            "note": one.note,
            "file": one.needed.file,
            "download": one.needed in wanted,
            "inside": one.needed.inside,
            "spare": one.needed.spare or None,
            "training": one.needed.training or None,
            "licence": one.needed.licence.name,
            "terms": one.needed.licence.text,
            "places": [
                {
                    "page": place.page,
                    "url": place.url or None,
                    "about_bytes": place.about or None,
                    "sha256": place.sha256 or None,
                    "who": place.who,
                }
                for place in one.needed.places
            ],
        }
        for one in found
    ]
    return {
        "system": system.name,
        "title": system.title,
        "variant": system.variant or None,
        "variants": list(system.variants),
        "complete": is_complete(found),
        "networks": networks,
    }


def is_complete(found: Sequence[Found]) -> bool:
    """Whether everything is there, or something that ships stands in for it."""
    return not any(one.lacking for one in found)


def in_a_line(system: System, found: Sequence[Found]) -> str:
    """How much there is of a system."""
    there = sum(one.path is not None for one in found)
    if there == len(found):
        return f"{system.title}: all {there} networks are there"
    line = f"{system.title}: {there} of {len(found)} networks are there"
    for command in dict.fromkeys(one.needed.training for one in found if one.path is None and one.needed.training):
        line += f"; needs trained weights: {command}"
    if not is_complete(found):
        return line
    spares = [f"{one.needed.spare}, is taken for the {one.needed.name}" for one in found if one.path is None]
    return f"{line}; {' and '.join(spares)}"


def in_words(system: System, found: Sequence[Found]) -> str:
    """Everything about a system's files, as Markdown: a list of its networks, then the terms of what is missing."""
    lines = [f"**{in_a_line(system, found)}**", ""]
    if system.variant:
        others = " and ".join(variant for variant in system.variants if variant != system.variant)
        lines += [f"These are its {system.variant} weights; there are {others} ones too.", ""]
    missing = to_download(found, spared=True)
    for one in found:
        lines += _network(one, one.needed in missing)
    for licence in dict.fromkeys(needed.licence for needed in missing):
        files = ", ".join(needed.file for needed in missing if needed.licence == licence)
        lines += ["", f"Licence of {files}: {licence.name}. {licence.text}"]
    return "\n".join(lines)


def terms(system: System) -> str:
    """The size and the licences of all that is downloaded where nothing of a system is there, in short."""
    own = [needed for needed in system.needs if not needed.inside]
    wanted = [needed for needed in own if needed.places]
    licences = " and ".join(dict.fromkeys(needed.licence.name for needed in wanted))
    train = "" if own == wanted else "; needs trained weights besides"
    return f"{system.title}: {_total(wanted)}, licence: {licences}{train}."


def before_download(system: System, found: Sequence[Found], target: Path, spared: bool = False) -> str:
    """What a download would fetch, and under which terms; see ``weights.to_download``."""
    wanted = to_download(found, spared)
    head = f"{len(wanted)} file{'' if len(wanted) == 1 else 's'}, {_total(wanted)}, would be downloaded to {target}."
    return f"{head}\n\n{in_words(system, found)}"


def _total(wanted: Sequence[Needed]) -> str:
    sizes = [_place(needed).about for needed in wanted]
    if all(sizes):
        return readable(sum(sizes))
    return f"at least {readable(sum(sizes))} and files of unknown size" if any(sizes) else "unknown size"


def _network(one: Found, alone: bool) -> list[str]:
    """A network in words; ``alone`` means that it does not come with the file of another one."""
    name = f"- {one.needed.name} ({one.needed.what}): "
    if one.path is not None:
        return [f"{name}{one.path} ({readable(one.path.stat().st_size)})"]
    note = f" {one.note}" if one.note else ""
    if one.needed.training:
        make = f"needs trained weights, which nobody publishes: `{one.needed.training}` makes {one.needed.file}"
        return [f"{name}missing; {make}.{note}"]
    missing = f"{name}missing; {one.needed.spare}, is taken" if one.needed.spare else f"{name}missing"
    if not alone:
        return [f"{missing}; comes with the file of the {one.needed.inside}.{note}", *_other(one.needed)]
    place = _place(one.needed)
    size = f"about {readable(place.about)}" if place.about else f"size {UNKNOWN}"
    sha256 = f"SHA-256 {place.sha256 or UNKNOWN}"
    return [f"{missing}; {one.needed.file}, {size}, {sha256}.{note}", *_places(one.needed), *_other(one.needed)]


def _places(needed: Needed) -> list[str]:
    return [
        f"  - {place.url or place.page} ({place.who}{'' if place.url else '; with a browser'})"
        for place in needed.places
    ]


def _other(needed: Needed) -> list[str]:
    return [f"  - or any of these that you have: {needed.other}"] if needed.other else []


def _place(needed: Needed) -> Place:
    return next((place for place in needed.places if place.url), needed.places[0])
