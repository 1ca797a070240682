"""A pack of the tests that holds a job where it is: nothing depends on how quick the server or the test is.

A prompt that ``held`` has marked runs to the frame, or step, that it names, and stays there until it is interrupted,
its server is killed, or a file is made that lets it go on. Meanwhile it goes on telling how far it is.
"""

import copy
from pathlib import Path
from typing import Any

Prompt = dict[str, Any]

_PACK = """
import sys
import time
from pathlib import Path

import comfy.model_management
from comfy_execution.progress import ProgressRegistry

tell = ProgressRegistry.update_progress
usual = {}


def tell_all(wanted):
    "Have our nodes tell of every frame, or as they do of themselves."
    for name, module in list(sys.modules.items()):
        if name.endswith(".nodes.host.progress") and hasattr(module, "progress_reporter"):
            if not usual:
                usual.update(_PREVIEW_SECONDS=module._PREVIEW_SECONDS, _PREVIEW_SHARE=module._PREVIEW_SHARE)
            module._PREVIEW_SECONDS = 0.0 if wanted else usual["_PREVIEW_SECONDS"]
            module._PREVIEW_SHARE = float("inf") if wanted else usual["_PREVIEW_SHARE"]


def update_progress(self, node_id, value, max_value, image=None):
    hold = self.dynprompt.get_node(node_id).get("_meta", {}).get("hold")
    tell_all(bool(hold))
    tell(self, node_id, value, max_value, image)
    while hold and value >= hold["at"] and not Path(hold["until"]).exists():
        if comfy.model_management.processing_interrupted():
            break
        time.sleep(0.05)
        tell(self, node_id, value, max_value, None)


ProgressRegistry.update_progress = update_progress
NODE_CLASS_MAPPINGS = {}
"""


def holding_pack(base: Path) -> None:
    """Write the pack into a server's base folder, before its start."""
    folder = base / "custom_nodes" / "test_holding"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text(_PACK, "utf-8")


def held(prompt: Prompt, node: str, at: int, until: Path) -> Prompt:
    """The same prompt, held when a node has done so much, until there is a file ``until``."""
    marked = copy.deepcopy(prompt)
    marked[node]["_meta"] = {**marked[node].get("_meta", {}), "hold": {"at": at, "until": str(until)}}
    return marked
