"""A server counted from inside: what its objects hold. A pack of the tests answers; it can also leak on purpose."""

from pathlib import Path
from typing import Any

from textovsr.core.submit.client import ComfyClient

LEAK = "OVSRTest_Leak"
"""The test's node that loses a little memory, an open file, a thread and a file every time."""

_PACK = """
import gc, json, threading, time, uuid
from pathlib import Path

import comfy.model_management
import folder_paths
import torch
from aiohttp import web
from server import PromptServer

LOST = []
POOLS = ("async_to_sync_", "asyncio_")


def of(kind, objects):
    return [one for one in objects if issubclass(type(one), kind)]


def ours(one):
    return "textovsr" in str(getattr(type(one), "__module__", ""))


@PromptServer.instance.routes.get("/soak/census")
async def census(request):
    gc.collect()
    objects = gc.get_objects()
    tensors, modules = of(torch.Tensor, objects), of(torch.nn.Module, objects)
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    history = PromptServer.instance.prompt_queue.history
    return web.json_response(
        {
            "tensors": len(tensors),
            "tensor_bytes": sum(storages.values()),
            "networks": sum(map(ours, modules)),
            "modules": len(modules),
            "ours": sum(map(ours, objects)),
            "pooled": sum(one.name.startswith(POOLS) for one in threading.enumerate()),
            "videos": sum(type(one).__name__ == "VideoFile" for one in objects),
            "objects": len(objects),
            "loaded": len(comfy.model_management.current_loaded_models),
            "history": len(history),
            "history_bytes": len(json.dumps(history, default=str)),
        }
    )


class Leak:
    RETURN_TYPES = ()
    FUNCTION = "leak"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"turn": ("INT", {"default": 0, "max": 1 << 30}), "megabytes": ("INT", {"default": 4})}}

    def leak(self, turn, megabytes):
        path = Path(folder_paths.get_temp_directory()) / f"lost-{uuid.uuid4().hex}"
        path.write_bytes(b"x" * 1000)
        thread = threading.Thread(target=time.sleep, args=(1e6,), daemon=True)
        thread.start()
        LOST.append((bytearray(b"x" * (megabytes << 20)), path.open("rb"), thread, torch.zeros(10)))
        return {"ui": {}}


NODE_CLASS_MAPPINGS = {"OVSRTest_Leak": Leak}
"""


def put_census(base: Path) -> None:
    """Write the pack into a server's base folder, before its start."""
    folder = base / "custom_nodes" / "test_census"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text(_PACK, "utf-8")


def take_census(client: ComfyClient) -> dict[str, Any]:
    """Collect garbage in the server and count.

    ``tensors``, their ``tensor_bytes``; ``networks`` of ours among all ``modules``; ``pooled`` threads, of which
    ComfyUI and aiohttp start some more when they come to need them; ``videos`` and other objects of ``ours`` among all
    ``objects``; ``loaded`` by ComfyUI; entries and bytes of its ``history``.
    """
    return dict(client.get("/soak/census"))
