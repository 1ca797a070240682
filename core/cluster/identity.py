"""Which code a machine runs: work is only shared among machines that would make the same of it."""

import hashlib
from importlib.metadata import version
from pathlib import Path

_CODE = ("core", "models")


def code_identity() -> str:
    """The version of the pack, a hash of its core and networks, and the versions that matter to them.

    Two machines of one identity make the same frames, but for the last bits that their processors decide.
    """
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for folder in _CODE:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    ours = f"textovsr {version('textovsr')} ({digest.hexdigest()[:12]})"
    return f"{ours}, PyAV {version('av')}, torch {version('torch').split('+')[0]}"
