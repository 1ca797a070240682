"""Words and numbers that mean harm: in pages, tables, terminals, and in what the canvas asks for."""

import asyncio
import csv
import importlib
import io
import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from textovsr.cli.common import printable
from textovsr.core.job import Source
from textovsr.core.quality.clip_scores import FrameScores
from textovsr.core.quality.report import Compared, ReportConfig, make_report
from textovsr.core.quality.report_files import save_page
from textovsr.core.quality.rows import heading
from textovsr.tests.helpers.films import Film, make_film
from textovsr.tools.comfy_server import ComfyServer

SCRIPT = "<script>alert(1)<" + "\u2215script><img src=x onerror=alert(2)>\"'&amp;"
"""As much of a script as a file can be called."""


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_report_s_page_runs_nothing(tmp_path: Path) -> None:
    name = f"{SCRIPT}.mp4"
    film = make_film(tmp_path / name, Film(seconds=0.4))
    config = ReportConfig(metrics=("sharpness",), worst=1, window=0.1)
    report = make_report(Compared(Source(film), None), config, tmp_path / "rows.csv")
    text = save_page(report, tmp_path / "page.html").read_text("utf-8")
    found = Page()
    found.feed(text)
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert all(value.startswith("data:image/") for name, value in found.attributes if name in ("src", "href"))
    assert f"Quality of {name}" in found.words


@pytest.mark.parametrize("words", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\tx", "\rx"])
def test_a_table_holds_no_formula(words: str) -> None:
    assert heading(words) == f"'{words}"
    scores = FrameScores(
        pairs=((words, "bad"), ("good", "bad")), frames=(0,), seconds=(), values=((0.5,), (0.5,)), cuts=()
    )
    rows = list(csv.reader(io.StringIO(scores.csv, newline="")))
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert heading("good / bad") == "good / bad"


def test_a_terminal_is_not_steered() -> None:
    """Titles of files and the words of servers are printed."""
    hostile = "a\x1b]0;title\x07\x1b[2Jb\x9b1m\x08\u202ec\ud800\r"
    assert printable(hostile) == r"a\x1b]0;title\x07\x1b[2Jb\x9b1m\x08\u202ec\ud800\r"
    assert printable("Un été à\u00a0Paris\n\t日本 👩‍🚀") == "Un été à\u00a0Paris\n\t日本 👩‍🚀"


def test_the_canvas_writes_text_not_markup(root: Path) -> None:
    """Captions, names and messages reach the page as text nodes; nothing in our scripts parses them."""
    sinks = re.compile(r"innerHTML|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc")
    scripts = [path for path in (root / "js").rglob("*.js") if "node_modules" not in path.parts]
    assert len(scripts) > 10
    assert [(path.name, found[0]) for path in scripts for found in sinks.finditer(path.read_text("utf-8"))] == []


QUERIES: list[dict[str, str]] = [
    *({"filename": name} for name in ("../x", "/etc/passwd", "a\0b", "x" * 3000, "..", ".", "", "none.mp4", "C:\\x")),
    *({"filename": "phone.mp4", "subfolder": name} for name in ("..", "/etc", "\0", "~", "x/../..", "y" * 3000)),
    *({"filename": "phone.mp4", "type": kind} for kind in ("", "models", "../output", "INPUT")),
    *({"filename": "phone.mp4", "frame": n} for n in ("", "-1", "1e9", "9" * 5000, "9" * 4000, "nan", "0x1", "\u00b2")),
    *({"filename": "phone.mp4", "frame": "0", "side": n} for n in ("-1", "1e9", "nan", "9" * 5000)),
    *({"filename": "phone.mp4", "frame": "0", "format": kind} for kind in ("gif", "png/../x", "", "html")),
    *({"filename": "phone.mp4", "frame": "0", "deinterlace": kind} for kind in ("", "maybe")),
]


def asked(server: ComfyServer, route: str, query: dict[str, str]) -> tuple[int, str]:
    address = f"{server.address}/textovsr/{route}?{urllib.parse.urlencode({'type': 'input', **query})}"
    try:
        with urllib.request.urlopen(address, timeout=600) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_a_route_answers_in_a_sentence(number: int, server: ComfyServer) -> None:
    for route in ("frame", "frame_number"):
        query = {"seconds": "nan", **QUERIES[number]} if route == "frame_number" else QUERIES[number]
        status, text = asked(server, route, query)
        assert 400 <= status < 500
        if text.startswith("{"):
            assert json.loads(text)["error"].startswith("Expected ")
        assert str(server.base) not in text


@pytest.mark.parametrize("seconds", ["1e308", "-1e308", "1e-320"])
def test_any_time_has_a_frame(seconds: str, server: ComfyServer) -> None:
    assert asked(server, "frame_number", {"filename": "phone.mp4", "seconds": seconds})[0] == 200


def test_a_large_side_makes_no_large_picture(server: ComfyServer) -> None:
    query = urllib.parse.urlencode({"type": "input", "filename": "phone.mp4", "frame": "0", "side": "9" * 18})
    with urllib.request.urlopen(f"{server.address}/textovsr/frame?{query}", timeout=600) as answer:
        assert len(answer.read()) < 1_000_000


def test_many_at_once_are_turned_away(pack: ModuleType) -> None:
    """The host goes on: what has no room is answered at once, and what waits is not forgotten."""
    route = importlib.import_module(f"{pack.__name__}.nodes.host.frames_route")
    go_on, began = threading.Event(), threading.Semaphore(0)

    def slow(*_: object) -> Any:
        began.release()
        go_on.wait(600)
        return "picture"

    async def ask() -> tuple[list[Any], list[Any]]:
        request = SimpleNamespace(rel_url=SimpleNamespace(query={}))
        known = [SimpleNamespace(rel_url=request.rel_url) for _ in range(3 * route._MOST)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(route, "_path", lambda _: Path())
            tasks = [asyncio.ensure_future(route._answer(one, slow)) for one in known]
            await asyncio.sleep(0)
            turned_away = [task for task in tasks if task.done()]
            assert len(route._asked) == route._MOST
            assert all(began.acquire(timeout=600) for _ in range(4))
            assert not began.acquire(timeout=0.1), "no more than four work at a time"
            go_on.set()
            answers = await asyncio.gather(*tasks)
            assert not route._asked
        return turned_away, answers

    turned_away, answers = asyncio.run(ask())
    assert len(turned_away) == 2 * route._MOST
    assert [answer.status for answer in answers if answer != "picture"] == [503] * 2 * route._MOST
    assert answers.count("picture") == route._MOST


def test_the_server_still_answers_while_many_ask(server: ComfyServer) -> None:
    """Five hundred questions from thirty clients; the host's own routes are not held up by them."""
    with ThreadPoolExecutor(30) as clients:
        answers = clients.map(lambda n: asked(server, "frame", {"filename": "phone.mp4", "frame": str(n)}), range(500))
        with urllib.request.urlopen(f"{server.address}/system_stats", timeout=600) as answer:
            assert answer.status == 200
        statuses = {status for status, _ in answers}
    assert statuses <= {200, 416, 503}
    assert {200, 416} <= statuses
