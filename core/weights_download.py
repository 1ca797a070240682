"""Getting what a diffusion system needs, once the user has agreed to its licences."""

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..models.published import Needed, Place, System
from .download import RemoteFile as RemoteFile
from .download import Report, download, told_size
from .errors import WeightsNotFoundError
from .weights import Found, find_files, to_download

_SECONDS = 30.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_ANSWER = (urllib.error.URLError, http.client.HTTPException, OSError)

Watch = Callable[[Needed], Report | None]
"""Takes what is downloaded next; gives what is called as its bytes come."""


def get_files(
    system: System, folders: Sequence[Path], target: Path, watch: Watch | None = None, spared: bool = False
) -> list[Found]:
    """Download what is missing of a system; call it only when the user has agreed.

    Args:
        system: which.
        folders: where files may be already.
        target: the folder that downloads go to.
        watch: gives a report for each file; a report may raise to cancel.
        spared: also get that for which something of ours stands in.

    Returns:
        What there is then.

    Raises:
        WeightsNotFoundError: something has to be fetched with a browser; everything else was downloaded.
        DownloadError: see ``core.download``, and the other errors there.
    """
    by_hand = []
    for needed in to_download(find_files(system, folders), spared):
        place = next((place for place in needed.places if place.url), None)
        if place is None:
            by_hand.append(needed)
            continue
        download(ask(place), target / needed.file, watch(needed) if watch else None)
    if by_hand:
        raise WeightsNotFoundError("\n".join(browse(needed, target) for needed in by_hand))
    return find_files(system, [target, *folders])


def ask(place: Place) -> RemoteFile:
    """Ask a server for the size and the hash of a file; what it does not say is unknown.

    Hugging Face says both before it sends one on to where the file lies. A hash that is known already is kept.
    """
    found = _headers(place.url)
    etag = (found.get("X-Linked-ETag") or "").strip('"W/')
    sha256 = place.sha256 or (etag if _SHA256.fullmatch(etag) else "")
    return RemoteFile(place.url, sha256, told_size(found.get("X-Linked-Size")) or 0)


def browse(needed: Needed, target: Path) -> str:
    """What to do for a file that no program can fetch."""
    pages = " or ".join(f"{place.page} ({place.who})" for place in needed.places) or "its authors"
    return f"Expected {needed.file}, found none; fetch it with a browser from {pages} and put it into {target}."


class _Here(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: the first answer is what is read."""

    def redirect_request(self, *_: Any) -> None:
        """Answer with nothing, which makes an error of the redirection that holds its headers."""


def _headers(url: str) -> Any:
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "textovsr"})
    try:
        with urllib.request.build_opener(_Here).open(request, timeout=_SECONDS) as answer:
            return answer.headers
    except urllib.error.HTTPError as error:
        error.close()
        return error.headers
    except _NO_ANSWER:
        return {}
