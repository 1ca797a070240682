"""Downloading one file, once the user has agreed: resumed where it stopped, checked by its hash, never half there.

Bytes go into ``NAME.part`` beside the target, which is renamed when they are all there and are the right ones. After a
cut connection the next request asks for the rest (HTTP Range); so does the next run after a crash. Proxies are those of
the environment, as ``urllib`` reads them.
"""

import hashlib
import http.client
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from .durable import disk_full_explained, sha256_of, sync_file, sync_folder
from .errors import DiskFullError, DownloadError, JobRunningError, OutputExistsError, SettingError
from .space import readable

Report = Callable[[int, int | None], None]
"""Takes the number of bytes there are, and that of all if it is known; may raise to cancel, and what came is kept."""

_BLOCK = 1 << 20
_SECONDS = 30.0
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # before the next try; counted anew whenever something came
_RESERVE = 50_000_000  # bytes that are left free on the disk
_DIGITS = 15  # of a number of bytes
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_BROKEN = (urllib.error.URLError, http.client.HTTPException, OSError)


class Published(Protocol):
    """A file that can be downloaded, such as ``quality.clip_files.PublishedClip``."""

    @property
    def url(self) -> str:
        """Where it is: http or https."""

    @property
    def sha256(self) -> str:
        """Of the content, in hexadecimal; empty if unknown: then only the number of bytes is checked."""

    @property
    def size(self) -> int:
        """Bytes; 0 if unknown."""


@dataclass(frozen=True)
class RemoteFile:
    """The plainest ``Published``."""

    url: str
    sha256: str
    size: int = 0


def download(
    file: Published, target: Path, report: Report | None = None, pause: Callable[[float], None] = time.sleep
) -> Path:
    """Download a file unless it is there already; call it only when the user has agreed.

    Args:
        file: what, and how to know it.
        target: where to; its folder is made.
        report: called as bytes come.
        pause: waits so many seconds between tries.

    Returns:
        ``target``, which has the right content.

    Raises:
        SettingError: the address is neither http nor https.
        OutputExistsError: something else is there under that name.
        JobRunningError: another run is downloading it.
        DiskFullError: there is no room for it.
        DownloadError: the server refuses, cannot be reached, or has another content.
    """
    if not file.url.startswith(("https://", "http://")):
        raise SettingError(f"Expected an address with https, got {file.url!r}; correct it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target):
        if target.exists():
            return _as_expected(target, file)
        part = target.with_name(f"{target.name}.part")
        resumed = part.exists()
        transfer = _Transfer(file, part, report, pause)
        transfer.run()
        if resumed and not transfer.right:  # what was there before may be of another version
            part.unlink()
            transfer = _Transfer(file, part, report, pause)
            transfer.run()
        if not transfer.right:
            part.unlink()
            raise DownloadError(
                f"Expected a file with SHA-256 {file.sha256} at {file.url}, got one with {transfer.sha256}; it was "
                "deleted. Something on the way changed it, or it was replaced: try again later, or get it elsewhere."
            )
        sync_file(part)
        part.replace(target)
        sync_folder(target.parent)
    return target


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise JobRunningError(
            f"Expected to be the only one that downloads {target}, but another run does; wait for it."
        ) from error
    try:
        yield
    finally:
        if sys.platform != "win32":  # while it is held: afterwards it may be another run's
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        if sys.platform == "win32":
            with suppress(OSError):  # another run has it
                Path(lock.lock_file).unlink(missing_ok=True)


def _as_expected(target: Path, file: Published) -> Path:
    known = f"SHA-256 {file.sha256}" if file.sha256 else f"{file.size or 'unknown'} bytes"
    if file.sha256:
        same = target.is_file() and sha256_of(target) == file.sha256
    else:
        same = target.is_file() and file.size in (0, target.stat().st_size)
    if not same:
        raise OutputExistsError(
            f"Expected nothing, or the file with {known}, at {target}, got something else; rename or delete it."
        )
    return target


class _Web(urllib.request.HTTPRedirectHandler):
    """Follows redirections to the web only, and from https never to what anybody on the way can change."""

    def redirect_request(self, request: Any, file: Any, code: Any, message: Any, headers: Any, url: str) -> Any:
        """See the base class, whose signature this is."""
        schemes = ("https://",) if request.full_url.startswith("https://") else ("https://", "http://")
        if not url.lower().startswith(schemes):
            raise urllib.error.URLError(f"it leads to {url[:200]}, which is not as safe")
        return super().redirect_request(request, file, code, message, headers, url)


def told_size(text: str | None) -> int | None:
    """A number of bytes as a server tells it; None if it is none."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


class _Transfer:
    """One file on its way, over as many connections as it takes."""

    def __init__(self, file: Published, part: Path, report: Report | None, pause: Callable[[float], None]) -> None:
        self._file, self._part, self._report, self._pause = file, part, report, pause
        self._total: int | None = file.size or None
        self._digest = hashlib.sha256()
        self._have = 0

    @property
    def sha256(self) -> str:
        """Of what there is."""
        return self._digest.hexdigest()

    @property
    def right(self) -> bool:
        """Whether what there is is what was wanted."""
        return not self._file.sha256 or self.sha256 == self._file.sha256

    def run(self) -> None:
        """Go on until nothing is missing."""
        self._take_stock()
        tries = 0
        while not self._complete():
            before, reason = self._have, "the connection ended early"
            try:
                self._request()
            except urllib.error.HTTPError as error:
                reason = f"the server says {error.code} {error.reason}"
                self._refused(error, reason)
            except _BROKEN as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            if self._complete():
                return
            tries = 0 if self._have > before else tries + 1
            if tries > len(_PAUSES):
                raise self._failure(reason)
            self._pause(_PAUSES[max(tries - 1, 0)])

    def _complete(self) -> bool:
        return self._total is not None and self._have == self._total

    def _take_stock(self) -> None:
        """Hash what an earlier run has left; what is too long is of no use."""
        if self._part.exists() and self._total is not None and self._part.stat().st_size > self._total:
            self._part.unlink()
        self._part.touch()
        with self._part.open("rb") as file:
            while block := file.read(_BLOCK):
                self._digest.update(block)
                self._have += len(block)

    def _request(self) -> None:
        headers = {"User-Agent": "textovsr", "Accept-Encoding": "identity"}
        if self._have:
            headers["Range"] = f"bytes={self._have}-"
        request = urllib.request.Request(self._file.url, headers=headers)
        with urllib.request.build_opener(_Web).open(request, timeout=_SECONDS) as response:
            self._begin(response)
            with self._part.open("r+b") as file, disk_full_explained(self._part):
                file.seek(self._have)
                file.truncate()
                while block := response.read(_BLOCK):
                    file.write(block)
                    self._digest.update(block)
                    self._have += len(block)
                    self._check_end()
                    if self._report is not None:
                        self._report(self._have, self._total)
        self._total = self._total or self._have  # a server that does not say how much there is has said all

    def _begin(self, response: Any) -> None:
        """Read off an answer what comes; one from the beginning on starts anew."""
        answer = _RANGE.match(response.headers.get("Content-Range") or "")
        if response.status == http.client.PARTIAL_CONTENT and answer and told_size(answer[1]) == self._have:
            total = told_size(answer[2])
        else:
            self._digest, self._have = hashlib.sha256(), 0
            total = told_size(response.headers.get("Content-Length")) if response.status == http.client.OK else None
        if total and self._file.size and total != self._file.size:
            raise DownloadError(
                f"Expected {self._file.size} bytes at {self._file.url}, got a server that has {total}; something on "
                "the way changed it, or it was replaced: try again later, or get it elsewhere."
            )
        self._total = total or self._total
        needed = (self._total or 0) - self._have + _RESERVE
        free = shutil.disk_usage(self._part.parent).free
        if free < needed:
            raise DiskFullError(
                f"Expected {readable(needed)} free in {self._part.parent} for a download, found {readable(free)}; free "
                "some space and run it again: it goes on where it stopped."
            )

    def _check_end(self) -> None:
        """End what never ends: more than there should be, and more than the disk can hold."""
        if self._total is not None and self._have > self._total:
            self._part.unlink()
            raise DownloadError(
                f"Expected {self._total} bytes at {self._file.url}, got more; what came was deleted. Try again later, "
                "or get it elsewhere."
            )
        if self._total is None and shutil.disk_usage(self._part.parent).free < _RESERVE:
            raise DiskFullError(
                f"Expected {readable(_RESERVE)} to stay free in {self._part.parent}, but {self._file.url} fills the "
                "disk and does not say how large it is; free some space, or get it elsewhere."
            )

    def _refused(self, error: urllib.error.HTTPError, reason: str) -> None:
        """What trying again does not cure ends the transfer; when no range is left, all has come or too much."""
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and self._have:
            if error.headers.get("Content-Range") == f"bytes */{self._have}":
                self._total = self._have
                return
            self._part.write_bytes(b"")
            self._digest, self._have = hashlib.sha256(), 0
        elif error.code not in _AGAIN:
            raise self._failure(reason) from error

    def _failure(self, reason: str) -> DownloadError:
        of = "" if self._total is None else f" of {readable(self._total)}"
        return DownloadError(
            f"Expected to download {self._file.url}, but {reason}; {readable(self._have)}{of} came and are kept in "
            f"{self._part}. Look at the connection and run it again: it goes on where it stopped; or get the file with "
            f"a browser and name it {self._part.with_suffix('').name}."
        )
