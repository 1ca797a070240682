#!/usr/bin/env python3
"""Set up, test, try and serve TextOVSR; needs nothing but Python 3.10 or newer.

    python3 dev.py setup             make .venv and fetch a ComfyUI
    python3 dev.py test [ARGS]       run the linters and pytest (ARGS go to pytest)
    python3 dev.py demo [--input F]  upscale a clip in a real, headless ComfyUI
    python3 dev.py serve             open the ComfyUI canvas with the pack installed

COMFYUI_PATH names a ComfyUI of your own, COMFYUI_PYTHON the Python it runs in.
"""

import argparse
import os
import signal
import subprocess
import sys
import webbrowser
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST_PYTHON = (3, 10)
EXAMPLE_CLIP = ROOT / "clips" / "phone.mp4"
WORKFLOW = ROOT / "workflows" / "api" / "upscale_clip.json"
CANVAS_PORT = 8188
LINTERS = (["ruff", "check", "."], ["mypy"], ["lint-imports"])


def python_problem(version):
    """Say what is wrong with this Python version (a tuple), or return None."""
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return None
    advice = "run dev.py with a newer one, for example python3.12 dev.py"
    return "Expected Python {}.{} or newer, got {}.{}; {}".format(*OLDEST_PYTHON, *version[:2], advice)


def setup(options):
    """Make the environment; the second time there is nothing to do."""
    from tools.environment import set_up

    environment = set_up(ROOT)
    print(f"Ready: {environment.script('textovsr')}, ComfyUI in {environment.comfyui}")
    return 0


def test(options):
    """Run the linters, then pytest, whose summary comes last; any failure makes the exit code non-zero."""
    from tools.environment import set_up, set_up_browser, set_up_eslint

    environment = set_up(ROOT)
    set_up_browser()
    set_up_eslint(ROOT)
    failed = [command[0] for command in LINTERS if not lint(environment, command)]
    if failed:
        print(f"FAILED: {', '.join(failed)}; pytest runs all the same.", flush=True)
    variables = {**os.environ, "COMFYUI_PATH": str(environment.comfyui)}
    tests = subprocess.run([environment.script("pytest"), *options.arguments], cwd=ROOT, env=variables)
    return tests.returncode or (1 if failed else 0)


def lint(environment, command):
    """Run one linter; return whether it was content."""
    print("$", *command, flush=True)
    return subprocess.run([environment.script(command[0]), *command[1:]], cwd=ROOT).returncode == 0


def demo(options):
    """Upscale one clip in a real, headless ComfyUI; the result and a picture go to demo_output/."""
    from tools.comfy_server import comfy_server, prepare_base, remove_base
    from tools.environment import set_up

    clip = Path(options.input).resolve()
    if not clip.is_file():
        raise SystemExit(f"Expected a video file, got {options.input}; there is no such file.")
    environment = set_up(ROOT)
    base = prepare_base(ROOT / ".textovsr" / f"demo-{os.getpid()}", ROOT, [clip])
    print("Starting ComfyUI ...", flush=True)
    try:
        log = ROOT / ".textovsr" / "demo.log"
        with comfy_server(environment.comfyui_python, environment.comfyui, base, log=log) as server:
            return run_demo(environment, server, clip, options.output)
    finally:
        remove_base(base)


def run_demo(environment, server, clip, output):
    """Let the client in the virtual environment do the work; when it fails, add what the server knows."""
    arguments = ["--address", server.address, "--clip", clip, "--workflow", WORKFLOW, "--output", output]
    client = subprocess.run([environment.python, "-m", "textovsr.tools.demo", *map(str, arguments)], cwd=ROOT)
    if client.returncode:
        print(*server.lines_about("custom_nodes/textovsr"), sep="\n", file=sys.stderr)
        print(f"ComfyUI's own log is {server.log}", file=sys.stderr)
    return client.returncode


def serve(options):
    """Keep a ComfyUI running until Ctrl-C, with the pack and its clips in it."""
    from tools.comfy_server import comfy_server, free_port, prepare_base
    from tools.environment import set_up

    environment = set_up(ROOT)
    clips = [path for path in (ROOT / "clips").iterdir() if path.suffix in (".avi", ".mp4")]
    base = prepare_base(ROOT / ".textovsr" / "serve", ROOT, clips)
    port = free_port(options.port)
    with comfy_server(environment.comfyui_python, environment.comfyui, base, port=port) as server:
        print(f"\nComfyUI is at {server.address} (your files: {base}). Ctrl-C stops it.", flush=True)
        if not options.no_browser:
            webbrowser.open(server.address)
        return server.wait()


def parse(arguments):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="dev.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("setup", help="make .venv and fetch a ComfyUI").set_defaults(run=setup)
    command = commands.add_parser("test", help="run the linters and pytest; further arguments go to pytest")
    command.set_defaults(run=test)
    command = commands.add_parser("demo", help="upscale a clip in a real, headless ComfyUI")
    command.add_argument("--input", default=str(EXAMPLE_CLIP), metavar="FILE", help="a video of your own")
    command.add_argument("--output", default=str(ROOT / "demo_output"), metavar="FOLDER", help="where the result goes")
    command.set_defaults(run=demo)
    command = commands.add_parser("serve", help="open the ComfyUI canvas with the pack installed")
    command.add_argument("--port", type=int, default=CANVAS_PORT, help="the first port to try (default %(default)s)")
    command.add_argument("--no-browser", action="store_true", help="do not open a browser")
    command.set_defaults(run=serve)
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "test":
        parser.error("unrecognized arguments: " + " ".join(rest))
    options.arguments = rest
    return options


def main(arguments):
    """Run one command; return its exit code."""
    problem = python_problem(sys.version_info)
    if problem:
        print("dev.py: " + problem, file=sys.stderr)
        return 2
    options = parse(arguments)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # for every process started here; docs/decisions.md says why
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C counts even when started in the background
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a server we started is stopped too
    from tools.errors import DevError

    try:
        return options.run(options)
    except DevError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
