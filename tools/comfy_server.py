"""A real ComfyUI as a child process: prepare its folders, start it, wait for it, always stop it.

Standard library only: dev.py uses this before anything is installed.
"""

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import DevError

HOST = "127.0.0.1"
START_SECONDS = 1200.0
"""One that ends is noticed at once; this is for one that hangs, and a slow, busy machine takes minutes to start."""

STOP_SECONDS = 10.0
LARGEST_COPY = 256 * 1024**2
QUIET_PORTS = range(20_000, 32_000)
"""Below those that systems give to outgoing connections: a free one stays free until the server has come up."""

FOLDERS = ("custom_nodes", "input", "output", "user/default", "models", "temp")
NOT_THE_PACK = (".*", "__pycache__", "*.egg-info", "build", "dist", "demo_output", "tests")
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.InstalledVersion": "1.32.9"}
"""Without these the first visit opens a dialog over the canvas."""

FRONT_END = "TEXTOVSR_FRONT_END"
"""Environment variable: the folder ``static`` of another front end than the one that is installed."""

HAS_ACCELERATOR = "import torch; print(torch.cuda.is_available() or torch.backends.mps.is_available())"


@dataclass
class ComfyServer:
    """A running ComfyUI."""

    address: str
    base: Path
    process: "subprocess.Popen[bytes]"
    log: "Path | None"

    def log_text(self) -> str:
        """Return what the server has printed; empty when it prints to the terminal."""
        return self.log.read_text("utf-8", "replace") if self.log else ""

    def lines_about(self, words: str) -> list[str]:
        """Return the lines of the log that hold some words; slashes count as backslashes."""
        return [line for line in self.log_text().splitlines() if words in line.replace("\\", "/")]

    def wait(self) -> int:
        """Block until the server ends by itself."""
        return self.process.wait()


def prepare_base(base: Path, pack: Path, clips: Iterable[Path]) -> Path:
    """Make a base directory for ComfyUI with ``pack`` in custom_nodes and ``clips`` in input; return it."""
    for folder in FOLDERS:
        (base / folder).mkdir(parents=True, exist_ok=True)
    link_folder(pack, base / "custom_nodes" / "textovsr")
    for clip in clips:
        put_file(clip, base / "input" / clip.name)
    settings = base / "user" / "default" / "comfy.settings.json"
    if not settings.exists():
        settings.write_text(json.dumps(SETTINGS), "utf-8")
    return base


def remove_base(base: Path) -> None:
    """Delete a base directory; the link to the pack goes first, so that nothing is deleted through it."""
    link = base / "custom_nodes" / "textovsr"
    if link.is_symlink():
        link.unlink()
    elif link.exists() and link.resolve() != link.absolute():
        link.rmdir()  # a junction
    shutil.rmtree(base)


def link_folder(target: Path, link: Path) -> None:
    """Make ``link`` lead to the folder ``target``: a symlink, a junction on Windows, or else a copy."""
    if link.exists() and link.resolve() == target.resolve():
        return
    if link.is_symlink():
        link.unlink()
    try:
        if sys.platform == "win32":
            import _winapi

            _winapi.CreateJunction(str(target), str(link))
        else:
            link.symlink_to(target, target_is_directory=True)
    except OSError:
        shutil.copytree(target, link, ignore=shutil.ignore_patterns(*NOT_THE_PACK), dirs_exist_ok=True)


def put_file(source: Path, target: Path) -> None:
    """Copy a file; a large one becomes a second name for the same data where the disk allows it."""
    target.unlink(missing_ok=True)
    if source.stat().st_size > LARGEST_COPY:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)


def free_port(first: int = 0) -> int:
    """Return ``first`` or the next port that nobody listens on; for 0 any one that no connection gets by chance."""
    for port in range(first, first + 100) if first else random.SystemRandom().sample(QUIET_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise DevError(f"Expected a free port from {first} on, found none in a hundred; choose another with --port.")


@contextlib.contextmanager
def comfy_server(
    python: Path, comfyui: Path, base: Path, port: int = 0, log: "Path | None" = None
) -> Iterator[ComfyServer]:
    """Run ComfyUI for the time of a ``with`` block; it prints to the terminal, or into the file ``log``.

    Raises:
        DevError: it ended or did not answer in time; the message carries the end of its log.
    """
    port = port or free_port()
    command = command_line(python, comfyui, base, port)
    output = log.open("wb") if log else None
    process = subprocess.Popen(command, cwd=comfyui, stdout=output, stderr=output)
    server = ComfyServer(f"http://{HOST}:{port}", base, process, log)
    try:
        wait_until_ready(server)
        yield server
    finally:
        stop(process)
        if output:
            output.close()


def command_line(python: Path, comfyui: Path, base: Path, port: int) -> list[str]:
    """Return the command that starts ComfyUI; on the CPU only when there is nothing better."""
    command = [str(python), "-u", str(comfyui / "main.py"), "--listen", HOST, "--port", str(port)]
    command += ["--base-directory", str(base), "--disable-auto-launch", "--disable-api-nodes"]
    command += ["--database-url", "sqlite:///:memory:"]
    if os.environ.get(FRONT_END):
        command += ["--front-end-root", os.environ[FRONT_END]]
    probe = subprocess.run([str(python), "-c", HAS_ACCELERATOR], capture_output=True, text=True)
    return command if probe.stdout.strip() == "True" else [*command, "--cpu"]


def wait_until_ready(server: ComfyServer) -> None:
    """Poll the server until it answers."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise DevError(f"ComfyUI ended at its start (exit code {server.process.returncode}).{log_end(server)}")
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{server.address}/system_stats", timeout=5).close()
            return
        time.sleep(0.25)
    raise DevError(f"ComfyUI did not answer within {START_SECONDS:.0f} s.{log_end(server)}")


def log_end(server: ComfyServer) -> str:
    """Return the last lines of the log for an error message."""
    lines = server.log_text().splitlines()[-25:]
    return "".join(f"\n  | {line}" for line in lines)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End the process: politely, then for certain."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
