"""What an entry of the listing says: a system, the networks it needs, where their files are published, their terms."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Licence:
    """Terms of a file.

    Attributes:
        name: in short.
        text: what a user has to know before a download.
    """

    name: str
    text: str


@dataclass(frozen=True)
class Place:
    """Where a file is published.

    Attributes:
        page: for a user to open in a browser.
        url: the file itself; empty if no program can fetch it from there.
        about: bytes, as rounded by the page; 0 if no page says.
        sha256: of the file; empty if unknown.
        who: whose place it is.
    """

    page: str
    url: str = ""
    about: int = 0
    sha256: str = ""
    who: str = "the authors"


@dataclass(frozen=True)
class Needed:
    """A network that a system needs, and the file that is published of it.

    Attributes:
        name: of the network.
        what: what it does.
        file: under which name a download is kept.
        keys: a file holds the network if each of these is the end of one of its keys.
        shape: of the first of ``keys``, where the ending alone may mean another network.
        layouts: ``keys`` of files that hold the same network under other names; one of them will do.
        without: a file holds another network if a key of it ends in one of these.
        only: where keys cannot tell: parts of names, of which the file, or its folder, must have one; small letters.
        but: where keys cannot tell: parts of names of other networks.
        likely: parts of names of pickled files that are looked into; small letters.
        licence: its terms.
        places: where to get it, those that a program can fetch from first; empty if it comes inside another file, or
            if nobody publishes it.
        other: files that do as well.
        inside: name of the network whose published file holds this one too.
        spare: what of ours stands in for it where there is none; empty if nothing does.
        variant: of which of the system's variants it is; empty if of all.
        training: the command that makes it, where nobody publishes it.
    """

    name: str
    what: str
    file: str
    keys: tuple[str, ...]
    licence: Licence
    likely: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    layouts: tuple[tuple[str, ...], ...] = ()
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    other: str = ""
    inside: str = ""
    spare: str = ""
    variant: str = ""
    training: str = ""


@dataclass(frozen=True)
class System:
    """A diffusion system.

    Attributes:
        name: in settings.
        title: for people.
        needs: its networks, of all variants.
        repositories: Hugging Face's folders to look into.
        variants: of which a user chooses one; the first is taken where nobody chooses.
        variant: the one that was chosen; ``needs`` has no network of another one.
    """

    name: str
    title: str
    needs: tuple[Needed, ...]
    repositories: tuple[str, ...]
    variants: tuple[str, ...] = ()
    variant: str = ""


def choices(system: System) -> tuple[System, ...]:
    """A system once for each of its variants, which the title names; itself if it has none or one was chosen."""
    if system.variant or not system.variants:
        return (system,)
    return tuple(
        replace(
            system,
            title=f"{system.title} ({variant})",
            needs=tuple(needed for needed in system.needs if needed.variant in ("", variant)),
            variant=variant,
        )
        for variant in system.variants
    )
