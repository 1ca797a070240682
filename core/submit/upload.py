"""A file as a form that ComfyUI's upload takes (multipart/form-data), never whole in memory."""

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

FOLDER = "textovsr"
"""The folder in a server's input folder that uploads go to."""

_BLOCK = 1 << 20
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\[\]]|\.(?=\.)')
"""Not allowed on some system, or of a meaning to ComfyUI: ``name [output]``, and two dots."""


class Form:
    """A file to upload; if the server has another one of that name, it numbers this one.

    Raises:
        OSError: there is no such file.
    """

    def __init__(self, file: Path, check: Callable[[], None] = lambda: None) -> None:
        boundary = secrets.token_hex(16)
        name = _NOT_IN_NAMES.sub("_", file.name)
        fields = {"type": "input", "subfolder": FOLDER}
        lines = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()
        ]
        lines += [f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n']
        lines += ["Content-Type: application/octet-stream\r\n\r\n"]
        self._file, self._check = file, check
        self._head, self._tail = "".join(lines).encode(), f"\r\n--{boundary}--\r\n".encode()
        self.size = len(self._head) + file.stat().st_size + len(self._tail)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(self.size),
        }

    def blocks(self) -> Iterator[bytes]:
        """The form's bytes in order."""
        with self._file.open("rb") as file:
            yield self._head
            while block := file.read(_BLOCK):
                self._check()
                yield block
        yield self._tail
