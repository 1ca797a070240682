"""The nodes' ids, inputs and outputs are a promise to every saved workflow: a change shows here first."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SNAPSHOT = Path(__file__).with_name("schema.json")
PROMISED = Path(__file__).with_name("promised.json")


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


def broken(nodes: dict[str, Any], promised: dict[str, Any], replacements: list[dict[str, Any]]) -> list[str]:
    """Say which promise to saved workflows is broken: they keep values of widgets and links of outputs by position."""
    said = []
    replaced = {replacement["old_node_id"]: replacement["new_node_id"] for replacement in replacements}
    for name, old in promised.items():
        if name not in nodes:
            if replaced.get(name) not in nodes:
                said.append(f"{name} is gone: add what replaces it to nodes/replacements.py")
            continue
        new = describe(nodes[name])
        inputs = [field["id"] for field in new["inputs"]]
        if inputs[: len(old["inputs"])] != old["inputs"]:
            said.append(f"{name}: new inputs go last, none is removed: had {old['inputs']}, has {inputs}")
        if new["outputs"][: len(old["outputs"])] != old["outputs"]:
            said.append(f"{name}: new outputs go last: had {old['outputs']}, has {new['outputs']}")
    return said


@pytest.fixture
def replacements(pack: Any) -> Any:
    """The module with the table."""
    import importlib

    return importlib.import_module(f"{pack.__name__}.nodes.replacements")


def test_no_promise_to_saved_workflows_is_broken(nodes: dict[str, Any], replacements: Any) -> None:
    """promised.json holds what releases had; docs/releasing.md says when to write it anew."""
    promised = json.loads(PROMISED.read_text("utf-8"))
    assert broken(nodes, promised, replacements.REPLACEMENTS) == []


def test_a_removed_node_needs_a_replacement(nodes: dict[str, Any]) -> None:
    promised = {"OVSR_OldName": {"inputs": [], "outputs": []}}
    assert broken(nodes, promised, []) == [
        "OVSR_OldName is gone: add what replaces it to nodes/replacements.py",
    ]
    assert broken(nodes, promised, [{"old_node_id": "OVSR_OldName", "new_node_id": "OVSR_SaveVideo"}]) == []


def test_a_new_input_goes_last(nodes: dict[str, Any]) -> None:
    only = {name: node for name, node in nodes.items() if name == "OVSR_SaveVideo"}
    assert broken(only, {"OVSR_SaveVideo": {"inputs": ["video"], "outputs": []}}, []) == []
    (said,) = broken(only, {"OVSR_SaveVideo": {"inputs": ["filename_prefix"], "outputs": []}}, [])
    assert "new inputs go last" in said


def test_the_host_is_told_of_replacements(replacements: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    class Known:
        async def register(self, replacement: Any) -> None:
            told.append(replacement)

    host = SimpleNamespace(
        io=SimpleNamespace(NodeReplace=lambda **words: words),
        ComfyAPI=lambda: SimpleNamespace(node_replacement=Known()),
    )
    entry = {"old_node_id": "OVSR_OldName", "new_node_id": "OVSR_SaveVideo"}
    monkeypatch.setattr(replacements, "REPLACEMENTS", [entry])
    asyncio.run(replacements.register_replacements(host))
    assert told == [entry]


def test_hosts_without_replacements_are_left_alone(replacements: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacements, "REPLACEMENTS", [{"old_node_id": "OVSR_OldName", "new_node_id": "OVSR_New"}])
    asyncio.run(replacements.register_replacements(SimpleNamespace(io=SimpleNamespace())))


def test_newer_hosts_get_search_aliases(nodes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """0.3.75 knows none; this stands in for a host that does."""
    from comfy_api.latest import io

    schema = io.Schema
    given = {}

    def newer(*, node_id: str, search_aliases: list[str] | None = None, **fields: Any) -> Any:
        given[node_id] = search_aliases or []
        return schema(node_id=node_id, **fields)

    monkeypatch.setattr(io, "Schema", newer)
    for node in nodes.values():
        node.define_schema()
    assert {name for name, aliases in given.items() if len(aliases) >= 3} == set(nodes)
    shown = {name: node.GET_SCHEMA().display_name.lower() for name, node in nodes.items()}
    assert not [name for name, aliases in given.items() if shown[name] in aliases], "its own name is found anyway"
