"""What a node was given, checked before it works.

A prompt that comes over the API holds what its sender likes. Some hosts check no choices, none checks what comes from
another node, and all of them let a text pass where a video should be connected, and "not a number" as a number.
"""

import functools
import inspect
import math
from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..core.errors import SettingError

_LONGEST_TEXT = 4_000_000
"""Letters of a text: WebVTT of a film has a hundred thousand."""

_SHOWN = 80


def guarded(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """The same class, whose ``execute`` is only called with what its schema allows."""
    execute = node.execute.__func__  # every node's is a classmethod
    if hasattr(execute, "__wrapped__"):  # the host asks for its nodes again
        return node
    signature = inspect.signature(execute)

    @functools.wraps(execute)
    def checked(cls: type[io.ComfyNode], *args: Any, **inputs: Any) -> io.NodeOutput:
        values = signature.bind_partial(cls, *args, **inputs).arguments
        more = values.pop(_rest_of(signature), {})
        check_given(cls, {**values, **more})
        return execute(cls, *args, **inputs)

    node.execute = classmethod(checked)
    return node


def check_given(node: type[io.ComfyNode], values: Mapping[str, Any]) -> None:
    """Check inputs by the node's schema.

    Raises:
        SettingError: a choice is none of those offered, a number is out of its range, a text is too long, or something
            typed stands where another node has to be connected.
    """
    schema = node.define_schema()
    for field in schema.inputs:
        if field.id in values:
            given = values[field.id]
            for value in given if schema.is_input_list and isinstance(given, list) else [given]:
                _check(field, value)


def _check(field: io.Input, value: Any) -> None:
    if isinstance(field, io.Combo.Input):
        if not field.upload and value not in field.options:  # an upload's name is looked up where it is opened
            raise _unexpected(field, f"one of {_listed(field.options)}", value)
    elif isinstance(field, io.Int.Input | io.Float.Input):
        low = -math.inf if field.min is None else field.min
        high = math.inf if field.max is None else field.max
        if not (isinstance(value, int | float) and low <= value <= high):
            raise _unexpected(field, f"a number from {low:,} to {high:,}", value)
    elif isinstance(field, io.String.Input):
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            raise _unexpected(field, f"a text of at most {_LONGEST_TEXT:,} letters", value)
    elif not isinstance(field, io.WidgetInput) and isinstance(value, str | int | float | bytes):
        raise _unexpected(field, f"{field.get_io_type()} from another node", value)


def _unexpected(field: io.Input, wanted: str, value: Any) -> SettingError:
    shown = repr(value[:_SHOWN] if isinstance(value, str | bytes) else value)
    return SettingError(f"Expected {wanted} as {field.id}, got {shown[: 2 * _SHOWN]}; correct it.")


def _listed(options: Any) -> str:
    names = [str(option) for option in options or []]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} others" if len(names) > 20 else "")


def _rest_of(signature: inspect.Signature) -> str:
    """What the parameter that takes all other inputs is called."""
    kinds = signature.parameters.values()
    return next((parameter.name for parameter in kinds if parameter.kind is parameter.VAR_KEYWORD), "")
