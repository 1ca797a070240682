"""The nodes' ids, inputs and outputs are a promise to every saved workflow: a change shows here first."""

import json
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).with_name("schema.json")


def describe(node: Any) -> dict[str, Any]:
    """What a saved workflow depends on."""
    schema = node.GET_SCHEMA()
    return {
        "category": schema.category,
        "inputs": [
            {
                "id": field.id,
                "type": field.get_io_type(),
                "optional": field.optional,
                "default": getattr(field, "default", None),
            }
            for field in schema.inputs
        ],
        "outputs": [field.get_io_type() for field in schema.outputs],
        "output_node": schema.is_output_node,
    }


def test_the_schema_is_the_one_promised(nodes: dict[str, Any]) -> None:
    """After a deliberate change, write ``found`` to schema.json and say so in the changelog."""
    found = {name: describe(node) for name, node in sorted(nodes.items())}
    assert found == json.loads(SNAPSHOT.read_text("utf-8"))
