"""Temporary folders of a machine, which whatever ends their process leaves to others to delete."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from textovsr.core.cluster.depot import Depot, FileId, file_id
from textovsr.tests.helpers.cli import environ
from textovsr.tests.helpers.cluster import left_in

DEPOT = """
import os
from textovsr.core.cluster import depot
{before}
print(depot.Depot().folder, flush=True)
input()
os._exit(1)
"""


def process(folder: Path, before: str = "") -> "subprocess.Popen[str]":
    """It has a depot in ``folder``, says where, and dies when it is told to."""
    environment = {**environ(), "TMPDIR": str(folder)}
    arguments = [sys.executable, "-c", DEPOT.format(before=before)]
    return subprocess.Popen(arguments, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_process_that_dies_as_it_makes_its_folder_leaves_none(tmp_path: Path) -> None:
    with process(tmp_path, "depot.sweep_after_me = lambda folder: os._exit(7)") as depot:
        pass
    assert depot.returncode == 7
    assert not list(tmp_path.iterdir())


def test_a_folder_that_others_still_write_into_is_deleted(tmp_path: Path) -> None:
    """A worker that is killed is not dead yet: it may write into what is being deleted, for a while."""

    def write(folder: Path) -> None:
        with suppress(FileNotFoundError):
            for number in range(30_000):
                (folder / str(number % 1000)).write_bytes(b"")

    with process(tmp_path) as depot, ThreadPoolExecutor() as writer:
        assert depot.stdout is not None
        folder = Path(depot.stdout.readline().strip())
        assert folder.parent == tmp_path
        writing = writer.submit(write, folder)
        depot.communicate("\n")
        writing.result()
    assert not left_in(tmp_path)


def test_damage_on_the_way_is_noticed(tmp_path: Path) -> None:
    depot = Depot()
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    wanted = FileId(Path("nowhere"), "1/a.bin", 7, file_id(path, "").sha256)
    depot.add(wanted, 4, b"ENT")
    depot.add(wanted, 0, b"cont")
    assert depot.finish(wanted) is None
    depot.add(wanted, 0, b"content")
    assert depot.finish(wanted) == depot.folder / "1" / "a.bin"
    depot.close()
    assert not depot.folder.exists()
