"""A workflow in API format that takes in a file and is changed by settings."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingError, WorkflowError

BUNDLED = Path(__file__).resolve().parents[2] / "workflows" / "api"

LOADERS = {"OVSR_LoadVideo": "file", "LoadVideo": "file", "VHS_LoadVideo": "video"}
"""Nodes that read an uploaded video, and by which input."""

PATHS = {"OVSR_LoadVideo": "path"}
"""An input that would be read instead of the upload."""


@dataclass(frozen=True)
class Workflow:
    """A workflow and where its file goes.

    Attributes:
        prompt: nodes by their number, in API format.
        loader: the number of the node that the file goes to.
        field: the input of that node.
        changed: (node, input) of every setting that was made.
    """

    prompt: dict[str, Any]
    loader: str
    field: str
    changed: tuple[tuple[str, str], ...] = ()

    def reading(self, name: str) -> dict[str, Any]:
        """The prompt for a file that a server has under this name."""
        prompt = copy.deepcopy(self.prompt)
        node = prompt[self.loader]
        node["inputs"][self.field] = name
        node["inputs"].pop(PATHS.get(node["class_type"], ""), None)
        return prompt

    def title(self, node: str) -> str:
        """What people call a node."""
        found = self.prompt.get(node, {})
        return str(found.get("_meta", {}).get("title") or str(found.get("class_type", node)).removeprefix("OVSR_"))

    def check_settings(self, object_info: Callable[[str], dict[str, Any]]) -> None:
        """Check that the nodes have the inputs that were set: ComfyUI itself passes over a misspelt one.

        Args:
            object_info: what a server knows about a kind of node.

        Raises:
            SettingError: a node has no such input.
        """
        for number, name in self.changed:
            kind = self.prompt[number]["class_type"]
            inputs = object_info(kind).get(kind, {}).get("input", {})
            known = sorted(name for group in ("required", "optional") for name in inputs.get(group, {}))
            if known and name.partition(".")[0] not in known:
                raise SettingError(f"Expected an input of {kind} ({', '.join(known)}), got {name!r}; correct --set.")


def load_workflow(name: str, settings: Sequence[str] = (), place: str = "") -> Workflow:
    """Read a workflow, change what is asked for and find where its file goes.

    Args:
        name: a file in API format, or the name of a bundled workflow.
        settings: such as ``2.caption=a cat``: a node's number, class or title, its input, the value.
        place: the node and input that take the file, such as ``1.file``; found by itself if there is only one.

    Raises:
        WorkflowError: there is no such workflow, it is in another format, or nothing in it loads a video.
        SettingError: a setting cannot be understood or fits no node.
    """
    prompt = _read(name)
    changed = [_set(prompt, setting) for setting in settings]
    return Workflow(prompt, *(_find_place(prompt, place)), tuple(changed))


def bundled_names() -> list[str]:
    """The workflows that the pack brings."""
    return sorted(path.stem for path in BUNDLED.glob("*.json"))


def _read(name: str) -> dict[str, Any]:
    given, bundled = Path(name), BUNDLED / f"{name}.json"
    path = bundled if bundled.is_file() and not given.is_file() else given
    try:
        prompt = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        names = ", ".join(bundled_names())
        raise WorkflowError(
            f"Expected a workflow in API format (JSON), or one of {names}; got {name}: {error}."
        ) from error
    if isinstance(prompt, dict) and isinstance(prompt.get("nodes"), list):
        raise WorkflowError(
            f"Expected a workflow in API format, got {path}, which is in the canvas' own; load it in ComfyUI and save "
            "it with Workflow > Export (API)."
        )
    nodes = prompt.values() if isinstance(prompt, dict) else []
    if not nodes or not all(isinstance(node, dict) and {"class_type", "inputs"} <= set(node) for node in nodes):
        raise WorkflowError(
            f"Expected a workflow in API format: nodes with class_type and inputs, got {path}; save one with "
            "Workflow > Export (API)."
        )
    return dict(prompt)


def _find_place(prompt: dict[str, Any], place: str) -> tuple[str, str]:
    if place:
        node, dot, name = place.partition(".")
        number = _find_node(prompt, node)
        field = name or LOADERS.get(prompt[number]["class_type"], "")
        if not field or (dot and not name):
            raise SettingError(f"Expected the node and input that take the file, such as 1.file, got {place!r}.")
        return number, field
    found = [(number, LOADERS[node["class_type"]]) for number, node in prompt.items() if node["class_type"] in LOADERS]
    if len(found) != 1:
        listed = ", ".join(f"{number}.{name} ({prompt[number]['class_type']})" for number, name in found)
        raise WorkflowError(
            f"Expected one node that loads a video ({', '.join(LOADERS)}), found {listed or 'none'}; say with --to "
            "which node and input the files go to, such as --to 1.file."
        )
    return found[0]


def _find_node(prompt: dict[str, Any], word: str) -> str:
    """The number of the node with this number, class or title."""
    if word in prompt:
        return word
    found = [
        number
        for number, node in prompt.items()
        if word in (node["class_type"], node["class_type"].removeprefix("OVSR_"), node.get("_meta", {}).get("title"))
    ]
    if len(found) != 1:
        listed = ", ".join(f"{number} ({node['class_type']})" for number, node in prompt.items())
        raise SettingError(f"Expected one node out of {listed}, got {word!r}, which fits {len(found)}; use its number.")
    return found[0]


def _set(prompt: dict[str, Any], setting: str) -> tuple[str, str]:
    """Change one input; say which."""
    target, equals, text = setting.partition("=")
    node, dot, name = target.partition(".")
    if not (node and dot and name and equals):
        raise SettingError(f"Expected a setting such as 2.weights=textovsr-lite, got {setting!r}; correct --set.")
    number = _find_node(prompt, node)
    inputs = prompt[number]["inputs"]
    inputs[name] = text if isinstance(inputs.get(name), str) else _value(text)
    return number, name


def _value(text: str) -> Any:
    """A number, true, false or null, or else the text itself."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, list | dict) else value
