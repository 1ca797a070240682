"""A node of the load test that keeps a server busy until its gate is opened, so that a queue builds up behind it."""

from pathlib import Path
from typing import Any

_PACK = """
import time
from pathlib import Path


class Gate:
    RETURN_TYPES = ()
    FUNCTION = "wait"
    CATEGORY = "test"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"file": ("STRING", {})}}

    def wait(self, file):
        while not Path(file).exists():
            time.sleep(0.02)
        return {}


NODE_CLASS_MAPPINGS = {"OVSRTest_Gate": Gate}
"""


def gate_pack(base: Path) -> None:
    """Write the node into a server's base folder, before its start."""
    folder = base / "custom_nodes" / "test_gate"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text(_PACK, "utf-8")


def gate_prompt(file: Path) -> dict[str, Any]:
    """A prompt that ends when ``file`` exists."""
    return {"1": {"class_type": "OVSRTest_Gate", "inputs": {"file": str(file)}}}
