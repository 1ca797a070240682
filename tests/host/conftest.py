"""Fixtures for tests against a real ComfyUI: in this process, and as a server.

In process: ``host`` prepares it, ``pack`` is our pack loaded as ComfyUI loads a folder of custom_nodes, ``nodes`` are
its node classes by id. As a server, one for the session: ``server`` (address, base folder, log), ``client`` (HTTP and
websocket), ``run_prompt`` (queue a prompt and insist that it succeeds), ``put_input`` (copy a file into its input).
"""

import asyncio
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from textovsr.tests.helpers.diffusion import conditioning_pack, vae
from textovsr.tests.host.holding import holding_pack
from textovsr.tools.comfy_client import ComfyClient, PromptResult
from textovsr.tools.comfy_server import ComfyServer, comfy_server, prepare_base

PATIENCE = 3600.0
"""Seconds in which any prompt ends, on any machine."""


@pytest.fixture(scope="session")
def host(comfyui: Path, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """ComfyUI imported into this process, on the CPU, its folders in a temporary place; returns ``folder_paths``."""
    if str(comfyui) not in sys.path:
        sys.path.append(str(comfyui))
    import comfy.cli_args

    comfy.cli_args.args.cpu = True
    import folder_paths

    base = tmp_path_factory.mktemp("host")
    for kind in ("input", "output", "temp", "user"):
        (base / kind).mkdir()
        getattr(folder_paths, f"set_{kind}_directory")(str(base / kind))
    return folder_paths


@pytest.fixture(scope="session")
def pack(host: ModuleType, root: Path) -> ModuleType:
    """Our pack as a module, loaded as ComfyUI's ``load_custom_node`` does it: named by its path, dots replaced."""
    return load_as_comfyui_does(root)


def load_as_comfyui_does(folder: Path) -> ModuleType:
    """Import a folder of custom_nodes."""
    name = str(folder).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def nodes(pack: ModuleType) -> dict[str, Any]:
    """The node classes that ComfyUI gets from the pack, by node id."""

    async def listed() -> list[Any]:
        return await (await pack.comfy_entrypoint()).get_node_list()

    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(listed())}


@pytest.fixture(scope="session")
def taesd(pack: ModuleType) -> Any:
    """A random VAE for pictures, in the host's object."""
    return vae(seed=3)


@pytest.fixture(scope="session")
def server(
    comfyui: Path, root: Path, webcam_clip: Path, phone_clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A running ComfyUI with the pack and packs of the tests in custom_nodes, and the bundled clips in input."""
    base = prepare_base(tmp_path_factory.mktemp("comfyui"), root, [webcam_clip, phone_clip])
    conditioning_pack(base)
    holding_pack(base)
    with comfy_server(Path(sys.executable), comfyui, base, log=base / "comfyui.log") as running:
        yield running


@pytest.fixture
def client(server: ComfyServer) -> ComfyClient:
    """A fresh client of the server."""
    return ComfyClient(server.address)


@pytest.fixture
def run_prompt(client: ComfyClient) -> Callable[..., PromptResult]:
    """Queue a prompt (API format), follow it to its end and return its result; anything but success fails the test."""

    def run(prompt: dict[str, Any], **options: Any) -> PromptResult:
        result = client.run(prompt, **{"timeout": PATIENCE, **options})
        assert result.status == "success", result.error
        return result

    return run


@pytest.fixture
def put_input(server: ComfyServer) -> Callable[[Path], str]:
    """Copy a file into the server's input folder; returns the name to give to a loader."""

    def put(file: Path) -> str:
        shutil.copyfile(file, server.base / "input" / file.name)
        return file.name

    return put
