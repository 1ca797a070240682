"""The freely licensed photographs and film the shipped weights were trained on, and how to fetch them.

Nothing here is in the repository: Debian and PyPI packages are downloaded with their own clients, unpacked, and the
pictures scaled down until they are sharp at the pixel. ``ATTRIBUTION.md`` is written beside them.
"""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LONG_SIDE = 1600
"""Photographs are shrunk to this many pixels on the longer side."""


@dataclass(frozen=True)
class Package:
    """A Debian package and the pictures taken from it.

    Attributes:
        name: the package.
        pictures: parts of file paths; a picture is taken when one of them occurs in its path.
        licence: as its copyright file states it.
    """

    name: str
    pictures: tuple[str, ...]
    licence: str


_PLASMA = (
    "BytheWater",
    "ColdRipple",
    "ColorfulCups",
    "EveningGlow",
    "FallenLeaf",
    "Grey",
    "Kite",
    "OneStandsOut",
    "Path",
    "summer_1am",
    "DarkestHour",
)
_LOMIRI = ("Picture_", "Wine", "greentock", "seeding", "aitzgorri", "Dragonfly", "friends", "sunset", "free", "picos")
_MATE = ("Garden", "Dune", "Wood", "Aqua", "TwoWings", "Storm", "GreenMeadow", "RainDrops", "LadyBird", "YellowFlower")
PACKAGES = (
    Package("plasma-workspace-wallpapers", tuple(f"/{name}/contents/images/" for name in _PLASMA), "GPL-2+"),
    Package(
        "lomiri-wallpapers-16.04", (*(f"/{name}" for name in _LOMIRI), "/life", "/Bridge"), "CC0, CC-BY, CC-BY-SA-4.0"
    ),
    Package("lomiri-wallpapers-20.04", ("/Kleiber",), "CC-BY-SA-3.0"),
    Package("mate-backgrounds", tuple(f"/nature/{name}" for name in _MATE), "GPL-2+"),
    Package("palapeli-data", ("/collection/",), "public domain, GFDL"),
)
_SKIMAGE = ("astronaut", "chelsea", "coffee", "rocket", "page", "text", "motorcycle_left", "brick", "grass", "gravel")
_FILM = "docs/_static/medias/getting_started/moviepy_10_minutes/moviepy_10_minutes.zip"


def fetch(folder: Path) -> None:
    """Download everything into ``folder`` (about 300 MB on the way, 200 MB at the end)."""
    folder.mkdir(parents=True, exist_ok=True)
    downloads = folder / ".downloads"  # hidden: what is in it is not trained on
    downloads.mkdir(exist_ok=True)
    lines = ["# Origin and licence of the training material", ""]
    for package in PACKAGES:
        count = sum(_save(path, folder, package.name) for path in _pictures(package, downloads))
        lines.append(f"- {count} photographs from Debian's {package.name}: {package.licence}")
    count = _from_skimage(folder)
    lines.append(f"- {count} pictures from scikit-image: public domain, CC0 or BSD (see its data README)")
    _film(folder, downloads)
    lines.append("- Big Buck Bunny, from the PyPI sdist of moviepy 2.2.1: (c) Blender Foundation, CC-BY-3.0")
    (folder / "ATTRIBUTION.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _pictures(package: Package, downloads: Path) -> Iterator[Path]:
    root = downloads / package.name
    if not root.exists():
        _run(["apt-get", "download", package.name], downloads)
        (archive,) = downloads.glob(f"{package.name}_*.deb")
        _run(["dpkg-deb", "-x", str(archive), str(root)], downloads)
    for path in sorted(root.rglob("*.jpg")):
        if path.is_file() and not path.is_symlink() and any(part in path.as_posix() for part in package.pictures):
            yield path


def _from_skimage(folder: Path) -> int:
    import skimage

    data = Path(skimage.__file__).parent / "data"
    paths = [path for name in _SKIMAGE for path in sorted(data.glob(f"{name}.*"))]
    return sum(_save(path, folder, "scikit-image") for path in paths)


def _save(path: Path, folder: Path, origin: str) -> int:
    from PIL import Image

    with Image.open(path) as image:
        image = image.convert("RGB")
        if max(image.size) > LONG_SIDE:
            image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
        # Plasma names a picture by its folder and the file by its size.
        name = path.parents[2].name if path.stem[0].isdigit() else path.stem
        image.save(folder / f"{origin}-{name}.png")
    return 1


def _film(folder: Path, downloads: Path) -> None:
    if (folder / "bbb.mp4").exists():
        return
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    _run([*command, "moviepy==2.2.1"], downloads)
    _run(["tar", "xzf", "moviepy-2.2.1.tar.gz"], downloads)
    with zipfile.ZipFile(downloads / "moviepy-2.2.1" / _FILM) as archive:
        (folder / "bbb.mp4").write_bytes(archive.read("moviepy_10_minutes/resources/bbb.mp4"))


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
