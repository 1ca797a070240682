"""The command line in a bad place: signals, pipes that nobody reads, closed streams, other runs, folders and disks."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from textovsr import cli
from textovsr.core.pipeline import job_folder
from textovsr.tests.faults.forker import LONG, finished, until
from textovsr.tests.helpers.cli import command, environ
from textovsr.tests.helpers.frames import decoded, packets
from textovsr.tests.helpers.networks import save_tiny

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals, and no mounts")

SETTINGS = ("--segment", 8, "--window", 4, "--look-ahead", 2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def arguments(source: Path, weights: Path, tmp_path: Path) -> list[str]:
    """The command that restores the video into ``out.mp4`` of the test's folder."""
    return command("upscale", source, tmp_path / "out.mp4", "--weights", weights, *SETTINGS)


def shell(script: str, arguments: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    """Run a script; ``$@`` are the arguments."""
    return subprocess.run(
        ["bash", "-c", script, "bash", *arguments], env=environ(), capture_output=True, text=True, timeout=LONG
    )


STOPPING = """
import os, runpy, signal
from textovsr.core.journal import Journal

commit = Journal.commit

def commit_and_stop(*arguments):
    commit(*arguments)
    Journal.commit = commit
    os.kill(os.getpid(), signal.SIGSTOP)

Journal.commit = commit_and_stop
runpy.run_module("textovsr", run_name="__main__", alter_sys=True)
"""
"""The command, which stops itself as soon as it has finished a segment: else it might end before it is disturbed."""


def begin(arguments: Sequence[str]) -> "subprocess.Popen[str]":
    """Start a command, and wait until it has stopped itself."""
    interpreter, _, _, *words = arguments
    running = subprocess.Popen(
        [interpreter, "-c", STOPPING, *words],
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    process = psutil.Process(running.pid)
    until(lambda: process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))
    return running


def test_signals_end_it_politely_and_it_goes_on(arguments: list[str], source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    kept = 0
    for number, code in ((signal.SIGTERM, cli.TERMINATED), (signal.SIGINT, cli.INTERRUPTED)):
        running = begin(arguments)
        if not kept:
            assert_refused(arguments, running.pid)
        running.send_signal(number)
        running.send_signal(signal.SIGCONT)
        _, errors = running.communicate(timeout=LONG)
        assert running.returncode == code, errors
        assert f"what is finished is kept in {job_folder(output)}: the same command goes on" in errors
        assert "Traceback" not in errors
        assert not output.exists()
        assert finished(output) > kept
        kept = finished(output)
    done = subprocess.run([*arguments, "--json"], env=environ(), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["resumed"] == kept
    assert packets(output) == packets(source)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def assert_refused(arguments: list[str], holder: int) -> None:
    """A second run of the same output, with other settings, says who is at work."""
    other = subprocess.run([*arguments, "--crf", "30"], env=environ(), capture_output=True, text=True)
    assert other.returncode == 1
    assert f"process {holder} on " in other.stderr
    assert "choose another output" in other.stderr


@pytest.mark.parametrize(
    "script",
    [
        '"$@" 2>&1 | true; exit ${PIPESTATUS[0]}',
        '"$@" <&- >&- 2>&-',
    ],
)
def test_nobody_has_to_listen(arguments: list[str], source: Path, tmp_path: Path, script: str) -> None:
    done = shell(script, [*arguments, "--duration", "0.5"])
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
    assert len(decoded(tmp_path / "out.mp4")) > 5
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_an_error_ends_with_its_code_though_nobody_listens(tmp_path: Path) -> None:
    done = shell('"$@" 2>&1 | true; exit ${PIPESTATUS[0]}', command("info", tmp_path / "missing.mp4"))
    assert (done.returncode, done.stderr) == (1, "")


def in_namespace(script: str, arguments: Sequence[object]) -> "subprocess.CompletedProcess[str]":
    """Run a script with mounts of its own, as a user who may not write everywhere; ``$1`` is its first argument."""
    mounts = ["unshare", "-rm", "bash", "-c", script, "bash", *map(str, arguments)]
    return subprocess.run(mounts, env=environ(), capture_output=True, text=True, timeout=LONG)


@pytest.fixture
def mounts() -> None:
    if not shutil.which("unshare") or in_namespace("mount -t tmpfs x /mnt", []).returncode != 0:
        pytest.skip("needs mount namespaces (Linux, unshare)")


@pytest.mark.usefixtures("mounts")
def test_a_read_only_disk_is_said(source: Path, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    script = 'mount -t tmpfs -o ro x "$1" && shift && exec "$@"'
    line = command("upscale", source, folder / "out.mp4", "--weights", weights, "--ignore-space")
    done = in_namespace(script, [folder, *line])
    assert done.returncode == 1
    assert "Expected to be allowed to write" in done.stderr
    assert "Read-only file system; choose an output in another folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
def test_a_folder_of_somebody_else_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o555)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from textovsr.core.errors import OutputError\n"
        "from textovsr.core.journal import Journal\n"
        "os.geteuid() or os.seteuid(65534)\n"
        "try:\n"
        "    Journal(Path(sys.argv[1]) / 'job', {'key': ''}).__enter__()\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, folder], env=environ(), capture_output=True, text=True)
    assert "Permission denied; choose an output in another folder, or change the rights" in done.stdout, done.stderr
