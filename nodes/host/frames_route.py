"""``/textovsr/frame`` and ``/textovsr/frame_number``: exact frames of videos in ComfyUI's folders, for the canvas.

Both take ``filename``, ``subfolder`` and ``type`` as the host's ``/view`` does, and ``deinterlace``. The first one
takes ``frame`` (from 0), ``format`` (png, jpeg, webp) and ``side`` (the longest that is wanted), and answers with a
picture whose headers tell the frame's time and the number of frames. The second one takes ``seconds`` from the first
frame and answers with the number of the frame that is shown then.
"""

import asyncio
import logging
import math
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, get_args

import folder_paths
from aiohttp import web

from ...core.config import Deinterlace
from ...core.errors import FrameNumberError, SettingError, TextOVSRError
from ...core.video.frame_pictures import FramePictures, Wanted

logger = logging.getLogger(__name__)

Number = TypeVar("Number", int, float)

KINDS = ("input", "output", "temp")
"""The folders whose files are shown."""

_IDLE_SECONDS = 30.0

pictures = FramePictures()
"""Every video that the canvas looks at."""

_MOST = 64
"""Questions that are answered or wait; a canvas that shows four videos and looks ahead asks for a dozen."""

_threads = ThreadPoolExecutor(4, "textovsr-frames")
_asked: set[int] = set()


def serve_frames() -> None:
    """Add the routes to the host's server, if one runs in this process."""
    host: Any = sys.modules.get("server")  # where ComfyUI itself runs, it is imported by now
    server = getattr(getattr(host, "PromptServer", None), "instance", None)
    if server is not None:
        server.routes.get("/textovsr/frame")(frame)
        server.routes.get("/textovsr/frame_number")(frame_number)


def shown_file(path: Path) -> dict[str, str] | None:
    """How the canvas names a file; None if it does not lie in a folder whose files are shown."""
    for kind in KINDS:
        folder = _folder(kind)
        if path.resolve().is_relative_to(folder):
            inside = path.resolve().relative_to(folder)
            subfolder = "" if inside.parent == Path() else inside.parent.as_posix()
            return {"filename": inside.name, "subfolder": subfolder, "type": kind}
    return None


async def frame(request: web.Request) -> web.Response:
    """Answer with one frame as a picture."""

    def make(path: Path, deinterlace: Deinterlace) -> web.Response:
        query = request.rel_url.query
        kind: Any = query.get("format", "png")
        number = _number(query.get("frame", ""), "frame", int)
        side = _number(query.get("side", "0"), "side", int)
        data = pictures.picture(Wanted(path, number, kind, side, deinterlace))
        _, index = pictures.open(path, deinterlace).look()
        headers = {
            "X-TextOVSR-Seconds": f"{index.seconds(number):.6f}",
            "X-TextOVSR-Frames": str(len(index)),
            "Cache-Control": "no-store",  # the file may be written anew; the canvas keeps what it needs
        }
        return web.Response(body=data, content_type=f"image/{kind}", headers=headers)

    return await _answer(request, make)


async def frame_number(request: web.Request) -> web.Response:
    """Answer with the number of the frame that is shown at a time."""

    def find(path: Path, deinterlace: Deinterlace) -> web.Response:
        seconds = _number(request.rel_url.query.get("seconds", ""), "seconds", float)
        _, index = pictures.open(path, deinterlace).look()
        number = index.at(seconds)
        return web.json_response({"frame": number, "seconds": index.seconds(number), "frames": len(index)})

    return await _answer(request, find)


async def _answer(request: web.Request, make: Callable[[Path, Deinterlace], web.Response]) -> web.Response:
    """Let another thread do it, unless too many wait already."""
    if len(_asked) >= _MOST:
        return _said(503, f"Expected at most {_MOST} questions at once, got more; ask again when some are answered.")
    _asked.add(id(request))
    try:
        return await _answered(request, make)
    finally:
        _asked.discard(id(request))


async def _answered(request: web.Request, make: Callable[[Path, Deinterlace], web.Response]) -> web.Response:
    """What goes wrong becomes a status and a sentence without the folders of this machine."""
    path = Path()

    def work() -> web.Response:
        nonlocal path
        path = _path(request.rel_url.query)
        return make(path, _deinterlace(request.rel_url.query.get("deinterlace", "auto")))

    loop = asyncio.get_running_loop()
    try:
        answer = await loop.run_in_executor(_threads, work)
    except _RefusedError as error:
        return _said(error.status, str(error))
    except FrameNumberError as error:
        return _said(416, str(error).replace(str(path), path.name))
    except SettingError as error:
        return _said(400, str(error).replace(str(path), path.name))
    except TextOVSRError as error:
        return _said(422, str(error).replace(str(path), path.name))
    except OSError:
        logger.exception("A frame of %s cannot be shown", path)
        return _said(404, f"Expected a file that can be read, got {path.name}; is it still there?")
    loop.call_later(_IDLE_SECONDS + 1, _threads.submit, pictures.rest, _IDLE_SECONDS)
    return answer


class _RefusedError(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def _said(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)


def _path(query: Any) -> Path:
    """The file that is asked for; neither dots nor links lead out of the host's folders."""
    kind, name = query.get("type", "output"), query.get("filename", "")
    if kind not in KINDS or not name or "\0" in name + query.get("subfolder", ""):
        raise _RefusedError(400, f"Expected a filename, and a type out of {', '.join(KINDS)}.")
    folder = _folder(kind)
    try:
        path = (folder / query.get("subfolder", "") / name).resolve()
    except (ValueError, RuntimeError):  # halves of a character; links that lead round
        raise _RefusedError(400, "Expected a filename, got one that nothing can be called.") from None
    if not path.is_relative_to(folder):
        raise _RefusedError(403, f"Expected a file in ComfyUI's {kind} folder, got one outside of it.")
    if not path.is_file():
        raise _RefusedError(404, f"Expected a video in ComfyUI's {kind} folder, found no {Path(name).name}.")
    return path


def _folder(kind: str) -> Path:
    return Path(folder_paths.get_directory_by_type(kind)).resolve()


def _deinterlace(wish: str) -> Deinterlace:
    found: Deinterlace | None = next((each for each in get_args(Deinterlace) if each == wish), None)
    if found is None:
        raise _RefusedError(400, f"Expected deinterlace out of {', '.join(get_args(Deinterlace))}.")
    return found


def _number(text: str, name: str, kind: type[Number]) -> Number:
    try:
        found = kind(text)
        if not math.isfinite(found):
            raise ValueError
        return found
    except (ValueError, OverflowError):
        raise _RefusedError(400, f"Expected a number for {name}.") from None
