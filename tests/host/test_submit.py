"""``textovsr submit`` against real servers: shared work, a server that is killed, resuming, cancelling, failures."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from textovsr import cli
from textovsr.core.submit.client import ComfyClient
from textovsr.core.submit.pool import Limits
from textovsr.core.submit.run import Order, submit_files
from textovsr.core.submit.task import Task
from textovsr.core.submit.workflow import load_workflow
from textovsr.tests.helpers.cli import environ, interruptible, make_video
from textovsr.tests.helpers.frames import decoded
from textovsr.tests.helpers.networks import save_tiny
from textovsr.tests.host.holding import held, holding_pack
from textovsr.tools.comfy_server import ComfyServer, comfy_server, free_port, prepare_base

WEIGHTS = "submit-tiny.safetensors"
TINY = ("--set", f"TextOVSRUpscale.weights={WEIGHTS}")
LONG = 60
"""Frames of a video that a server is held at."""

Submit = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module", autouse=True)
def _weights(server: ComfyServer) -> None:
    folder = server.base / "models" / "textovsr"
    folder.mkdir(parents=True, exist_ok=True)
    save_tiny(folder / WEIGHTS)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("long") / "long.mp4", frames=LONG)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A file that lets go on what ``held_clip`` holds."""
    return tmp_path / "release"


@pytest.fixture
def held_clip(release: Path) -> Path:
    """The bundled workflow ``upscale_clip``, which stays at its second frame."""
    path = release.with_name("held_clip.json")
    path.write_text(json.dumps(held(load_workflow("upscale_clip").prompt, "2", 2, release)), "utf-8")
    return path


@pytest.fixture
def submit(server: ComfyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Submit:
    """The command in this process: its exit code, JSON and what it said."""

    def run(*arguments: object, workflow: object = "upscale_clip", servers: Sequence[str] = ()) -> tuple[int, Any, str]:
        capsys.readouterr()
        words = [workflow, *arguments, "--output", tmp_path / "out", "--server", *(servers or [server.address])]
        code = cli.main(["submit", *map(str, words), "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out), err

    return run


def ended(client: ComfyClient) -> set[str]:
    return set(client.get("/history"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def wait_for(condition: Callable[[], bool], seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def test_each_file_gets_its_result_once(submit: Submit, client: ComfyClient, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    clips = [make_video(tmp_path / "in" / f"{name}.mp4", frames=n) for name, n in (("a", 2), ("b b", 3), ("ä'", 4))]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mp4").write_bytes(b"mine")
    before = ended(client)
    code, told, said = submit("--input", tmp_path / "in", *TINY)
    assert code == 0, said
    assert names(tmp_path / "out") == ["a-2.mp4", "a.mp4", "b b.mp4", "ä'.mp4"]
    assert (tmp_path / "out" / "a.mp4").read_bytes() == b"mine", "nothing is overwritten"
    for clip, task, frames in zip(clips, told, (2, 3, 4), strict=True):
        assert (task["input"], task["state"], task["tries"]) == (str(clip), "done", 1)
        pictures = decoded(Path(task["files"][0]))
        assert len(pictures) == frames
    assert len(ended(client) - before) == 3
    again, skipped, said = submit("--input", tmp_path / "in", *TINY)
    assert (again, [task["files"] for task in skipped]) == (0, [task["files"] for task in told])
    assert len(ended(client) - before) == 3, "what is finished is not done again"
    assert "was done before" in said
    (tmp_path / "out" / "b b.mp4").unlink()
    assert submit("--input", tmp_path / "in", *TINY)[0] == 0
    assert len(ended(client) - before) == 3, "a result that was deleted is fetched again"
    assert "b b.mp4" in names(tmp_path / "out")
    assert submit("--input", clips[0], *TINY, "--set", "2.caption=a cat")[1][0]["files"] == [
        str(tmp_path / "out" / "a-3.mp4")
    ]


@pytest.fixture
def second(comfyui: Path, root: Path, tmp_path: Path) -> Iterator[ComfyServer]:
    """Another server, to be killed."""
    base = prepare_base(tmp_path / "base", root, [])
    holding_pack(base)
    (base / "models" / "textovsr").mkdir(parents=True)
    save_tiny(base / "models" / "textovsr" / WEIGHTS)
    with comfy_server(Path(sys.executable), comfyui, base, log=tmp_path / "second.log") as running:
        yield running


def test_another_server_takes_over(
    server: ComfyServer, second: ComfyServer, long_clip: Path, held_clip: Path, release: Path, tmp_path: Path
) -> None:
    clips = [make_video(tmp_path / f"{index}.mp4", frames=3) for index in range(3)]
    progress: list[tuple[str, float, float]] = []

    def kill_second(tasks: Sequence[Task]) -> None:
        progress.extend((task.doing, task.done, task.total) for task in tasks)
        at_work = [task for task in tasks if task.server == second.address and task.done > 1]
        if second.process.poll() is None and any(task.source == long_clip for task in at_work):
            second.process.send_signal(signal.SIGKILL)
            second.process.wait()
            release.touch()

    workflow = load_workflow(str(held_clip), [f"2.weights={WEIGHTS}"])
    order = Order(workflow, tmp_path / "out", [second.address, server.address], Limits(patience=1.0))
    lone = Order(workflow, tmp_path / "out", [second.address], Limits(patience=1.0))
    queue_only(long_clip, lone)
    tasks = submit_files([long_clip, *clips], order, kill_second)
    assert second.process.poll() is not None
    assert [(task.state, task.error) for task in tasks] == [("done", "")] * 4
    assert tasks[0].server == server.address
    assert names(tmp_path / "out") == ["0.mp4", "1.mp4", "2.mp4", "long.mp4"]
    assert len(decoded(tmp_path / "out" / "long.mp4")) == LONG
    assert any(doing == "TextOVSRUpscale" and 1 < done < total == LONG for doing, done, total in progress)


def queue_only(clip: Path, order: Order) -> None:
    """Leave a file queued, as a run that was killed does."""

    class Killed(Exception):
        pass

    def stop(tasks: Sequence[Task]) -> None:
        if tasks[0].state == "running":
            raise Killed

    with pytest.raises(Killed):
        submit_files([clip], order, stop)


def test_a_killed_run_goes_on(
    submit: Submit, client: ComfyClient, long_clip: Path, held_clip: Path, release: Path, tmp_path: Path
) -> None:
    before, other = ended(client), (*TINY, "--set", "2.caption=ComfyUI has this one in no cache")
    words = ("submit", held_clip, "--input", long_clip, "--output", tmp_path / "out", *other)
    with interruptible(*words, "--server", client.address) as running:
        wait_for(lambda: bool(client.queue()[0]))
        code, told, _ = submit("--input", long_clip, *other, workflow=held_clip)
        assert code == 1
        assert "another run puts its results" in told["error"]
        running.kill()
    (prompt_id,) = client.queue()[0]
    with (tmp_path / "out" / ".textovsr-submit" / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"torn')
    release.touch()
    code, (task,), said = submit("--input", long_clip, *other, workflow=held_clip)
    assert code == 0, said
    assert (task["prompt_id"], task["tries"]) == (prompt_id, 0), "found again, not queued again"
    assert ended(client) - before == {prompt_id}
    assert len(decoded(tmp_path / "out" / "long.mp4")) == LONG
    again = submit("--input", long_clip, *other, workflow=held_clip)[1]
    assert again[0]["prompt_id"] == prompt_id, "the torn line did no harm"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_takes_back_what_it_queued(client: ComfyClient, held_clip: Path, release: Path, tmp_path: Path) -> None:
    others = {"1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": "phone.mp4"}}}
    others["2"] = {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["1", 0], "filename_prefix": "others"}}
    clips = [make_video(tmp_path / f"{index}.mp4", frames=LONG + index) for index in (1, 2)]
    words = ("submit", held_clip, "--input", *clips, "--output", tmp_path / "out", *TINY)
    with interruptible(*words, "--server", client.address) as running:
        wait_for(lambda: list(map(len, client.queue())) == [1, 1])
        mine = client.submit(others)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
    release.touch()  # ComfyUI forgets an interruption that comes just when a job begins
    assert running.returncode == cli.INTERRUPTED
    assert "what was queued is taken back" in said
    wait_for(lambda: client.queue() == ([], []))
    assert (client.record(mine) or {})["status"]["status_str"] == "success", "what others queued stays"
    assert names(tmp_path / "out") == []
    lines = (tmp_path / "out" / ".textovsr-submit" / "journal.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["state"] for line in lines[-2:]] == ["waiting", "waiting"]


def test_a_failing_file_does_not_stop_the_others(
    submit: Submit, tmp_path: Path, server: ComfyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    good = make_video(tmp_path / "good.mp4")
    words = ("--input", tmp_path / "bad.mp4", good, *TINY)
    code, (bad, fine), _ = submit(*words)
    assert (code, bad["state"], fine["state"]) == (1, "failed", "done")
    assert bad["error"].startswith("OVSR_LoadVideo failed: ")
    assert bad["tries"] == 1, "no other server could do it"
    out = ["--output", str(tmp_path / "out"), "--server", server.address, "--quiet"]
    assert cli.main(["submit", "upscale_clip", *map(str, words), *out]) == 1
    table = capsys.readouterr().out
    assert "0 done, 1 were done before, 1 failed:" in table
    assert re.search(r"  bad\.mp4  OVSR_LoadVideo failed: \w", table)


def test_a_rejected_workflow_is_told_node_by_node(submit: Submit, tmp_path: Path) -> None:
    code, (task,), _ = submit("--input", make_video(tmp_path / "a.mp4"), "--set", "2.fidelity=7")
    assert (code, task["state"]) == (1, "failed")
    assert "OVSR_TextOVSRUpscale (node 2): Value 7.0 bigger than max of 1.0: fidelity" in task["error"]


def test_a_misspelt_input_is_an_error(submit: Submit, tmp_path: Path) -> None:
    code, told, _ = submit("--input", make_video(tmp_path / "a.mp4"), "--set", "2.captoin=a cat")
    assert code == 1
    assert "Expected an input of OVSR_TextOVSRUpscale (" in told["error"]
    assert "got 'captoin'" in told["error"]


def test_a_file_too_large_for_the_server_is_not_sent(submit: Submit, server: ComfyServer, tmp_path: Path) -> None:
    with (tmp_path / "large.mp4").open("wb") as file:
        file.truncate(120 << 20)
    code, (task,), _ = submit("--input", tmp_path / "large.mp4", *TINY)
    assert (code, task["state"]) == (1, "failed")
    assert "--max-upload-size" in task["error"]
    assert not (server.base / "input" / "textovsr" / "large.mp4").exists()


def test_an_address_where_nobody_answers(submit: Submit, server: ComfyServer, tmp_path: Path) -> None:
    clip, nobody = make_video(tmp_path / "a.mp4"), f"http://127.0.0.1:{free_port()}"
    code, told, _ = submit("--input", clip, *TINY, servers=[nobody])
    assert code == 1
    assert f"Expected a ComfyUI at {nobody}, got: " in told["error"]
    assert "correct --server" in told["error"]
    code, (task,), _ = submit("--input", clip, *TINY, servers=[nobody, server.address])
    assert (code, task["server"]) == (0, server.address)


def blocks(root: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (root / "docs" / "api.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("language", ["python", "sh"])
def test_the_examples_of_the_documentation(root: Path, server: ComfyServer, tmp_path: Path, language: str) -> None:
    (example,) = blocks(root, language)
    (tmp_path / "workflows").symlink_to(root / "workflows")
    (tmp_path / "clips").mkdir()
    make_video(tmp_path / "clips" / "phone.mp4", frames=3)  # small, and not the one that the server has
    (tmp_path / "example").write_text(example, "utf-8")
    commands = {"python": [sys.executable, "example", "clips/phone.mp4"], "sh": ["sh", "-e", "example"]}
    done = subprocess.run(
        commands[language], cwd=tmp_path, env={**environ(), "COMFYUI": server.address}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(decoded(tmp_path / "restored.mp4")) == 3
