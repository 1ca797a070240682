"""What ``textovsr submit`` decides before it talks to a server; tests/host/test_submit.py has real ones."""

import io
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from textovsr import cli
from textovsr.cli.submit import Board
from textovsr.core.errors import SettingError, WorkflowError
from textovsr.core.submit.client import PromptResult, clean_address
from textovsr.core.submit.ledger import Ledger
from textovsr.core.submit.run import Order, submit_files
from textovsr.core.submit.task import Task, make_task
from textovsr.core.submit.upload import Form
from textovsr.core.submit.workflow import BUNDLED, bundled_names, load_workflow

# ---- workflows


def loaders(name: str) -> list[str]:
    prompt = json.loads((BUNDLED / f"{name}.json").read_text("utf-8"))
    return [number for number, node in prompt.items() if node["class_type"] == "OVSR_LoadVideo"]


@pytest.mark.parametrize("name", [name for name in bundled_names() if loaders(name)])
def test_a_bundled_workflow_takes_a_file(name: str) -> None:
    place = loaders(name)[0] if len(loaders(name)) > 1 else ""
    prompt = load_workflow(name, place=place).reading("textovsr/mine.mp4")
    assert "textovsr/mine.mp4" in [node["inputs"].get("file") for node in prompt.values()]


def test_two_loaders_need_a_choice() -> None:
    with pytest.raises(WorkflowError, match=r"found 1\.file \(OVSR_LoadVideo\), .*such as --to 1\.file"):
        load_workflow("redo_worst_moment")


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (None, "or one of .*upscale_clip, "),
        ("no json", "or one of "),
        ('{"nodes": [], "links": []}', r"Export \(API\)"),
        ("{}", "nodes with class_type and inputs"),
        ("[1]", "nodes with class_type and inputs"),
        ('{"1": {"class_type": "EmptyImage", "inputs": {}}}', "found none; say with --to"),
    ],
)
def test_a_workflow_that_cannot_be_used(content: str | None, advice: str, tmp_path: Path) -> None:
    file = tmp_path / "workflow.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(WorkflowError, match=advice):
        load_workflow(str(file))


def test_settings_keep_texts_and_read_numbers() -> None:
    settings = [
        "2.weights=12",
        "TextOVSRUpscale.fidelity=0.5",
        "OVSR_SaveVideo.filename_prefix=a=b",
        "2.caption=a.b [c",
    ]
    workflow = load_workflow("upscale_clip", settings)
    inputs = workflow.prompt["2"]["inputs"]
    assert (inputs["weights"], inputs["fidelity"], inputs["caption"]) == ("12", 0.5, "a.b [c")
    assert workflow.prompt["3"]["inputs"]["filename_prefix"] == "a=b"
    assert "file" in load_workflow("upscale_clip").prompt["1"]["inputs"], "the file on the disk is untouched"


@pytest.mark.parametrize("setting", ["2", "2=x", "2.weights", ".weights=x", "9.weights=x", "Nobody.weights=x"])
def test_a_setting_that_fits_nothing(setting: str) -> None:
    with pytest.raises(SettingError, match=r"Expected (a setting such as|one node out of)"):
        load_workflow("upscale_clip", [setting])


def test_a_path_does_not_stand_in_the_way_of_an_upload() -> None:
    workflow = load_workflow("upscale_clip", ["1.path=/elsewhere.mp4"])
    assert workflow.reading("mine.mp4")["1"]["inputs"] == {"file": "mine.mp4"}


DOCUMENTATION = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")


@pytest.mark.parametrize("line", [line for line in DOCUMENTATION.splitlines() if line.startswith("textovsr ")])
def test_the_documentation_s_commands_are_understood(line: str) -> None:
    options = cli.build_parser().parse_args(shlex.split(line)[1:])
    assert options.settings in ([], ["2.weights=textovsr-lite"])


@pytest.mark.parametrize("option", ["input", "server", "output", "set", "to", "retries", "patience", "json", "quiet"])
def test_every_option_is_in_the_documentation(option: str) -> None:
    assert f"| `--{option}" in DOCUMENTATION


# ---- addresses and files


@pytest.mark.parametrize(
    ("address", "clean"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188"),
        ("https://a.b/comfy/", "https://a.b/comfy"),
        ("[::1]:1", "http://[::1]:1"),
    ],
)
def test_addresses(address: str, clean: str) -> None:
    assert clean_address(address) == clean


@pytest.mark.parametrize(
    "address",
    ["", "ftp://a", "http://", "http://a:x", "http://a b", "http://[", "http://a:99999", "http://me:secret@a"],
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(SettingError, match="Expected a server's address"):
        clean_address(address)


def test_a_form_has_the_size_it_says_and_a_harmless_name(tmp_path: Path) -> None:
    file = tmp_path / "a..b [output]\r\n.mp4" if os.name == "posix" else tmp_path / "a..b [output].mp4"
    file.write_bytes(os.urandom(3 << 20))
    form = Form(file)
    blocks = list(form.blocks())
    assert max(map(len, blocks)) <= 1 << 20
    whole = b"".join(blocks)
    assert len(whole) == form.size == int(form.headers["Content-Length"])
    name = whole.split(b'filename="')[1].split(b'"')[0]
    assert not [word for word in (b"..", b"[", b"\r") if word in name]


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([["execution_start", {}], ["execution_success", {}]], "success"),
        ([["execution_error", {"node_type": "A", "exception_message": "b"}]], "error"),
        ([["execution_interrupted", {}]], "interrupted"),
    ],
)
def test_a_record_says_how_a_prompt_ended(messages: list[Any], status: str) -> None:
    result = PromptResult.of({"outputs": {}, "status": {"status_str": "error", "messages": messages}})
    assert result.status == status
    assert (result.error is not None) == (status == "error")


# ---- the command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "none.mp4"], "Expected files to send, got none.mp4"),
        (["--input", "."], "Expected videos in the folder"),
        (["--input", "clip.mp4", "--retries", "-1"], "of at least 0"),
        (["--input", "clip.mp4", "--server", "ftp://x"], "Expected a server's address"),
        (["--input", "clip.mp4", "--to", "9.file"], "Expected one node out of"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if "clip.mp4" in words:
        (tmp_path / "clip.mp4").write_bytes(b"")
    assert cli.main(["submit", "upscale_clip", *words]) == 1
    assert said in capsys.readouterr().err


def test_what_was_done_before_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    order = Order(load_workflow("upscale_clip"), tmp_path / "out", ["http://127.0.0.1:9"])
    with Ledger(order.output) as ledger:
        task = make_task(tmp_path / "a.mp4", order.workflow)
        task.state, task.files = "done", ["a.mp4"]
        (order.output / "a.mp4").write_bytes(b"")
        ledger.note(task)
    (task,) = submit_files([tmp_path / "a.mp4", tmp_path / "a.mp4"], order)
    assert (task.state, task.fresh) == ("done", False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_board_draws_over_its_line_and_keeps_the_news() -> None:
    stream, task = Terminal(), Task(Path("clip.mov"), "key")
    board = Board(stream)
    task.state, task.server, task.doing, task.done, task.total = "running", "http://a:1", "Upscale", 3, 10
    board([task])
    task.state, task.files, task.fresh = "done", ["clip.mp4"], True
    board([task])
    board.close()
    line = "0/1 | clip.mov: Upscale 3/10 (a:1)"
    assert stream.getvalue().split("\r") == [
        "clip.mov: queued at a:1\n",
        line,
        "clip.mov: done in 0 s, clip.mp4".ljust(len(line)) + "\n",
        "1/1\n",
    ]


def test_the_board_falls_silent_when_nobody_reads_it() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    task = Task(Path("clip.mov"), "key")
    task.state, task.server = "queued", "http://a:1"
    with os.fdopen(writing, "w") as stream:
        board = Board(stream)
        board([task])
        task.state = "running"
        board([task])
        board.close()
