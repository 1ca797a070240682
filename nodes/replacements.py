"""Nodes that gave way to others, so that saved workflows find the new ones.

An id of a node, once released, is never taken away or given another meaning: whoever renames a node, or removes or
reorders its inputs, makes a new id and says here what becomes of the old one. Hosts that know node replacements offer
the change to the user; older ones name the missing node.
"""

from typing import Any

import comfy_api.latest

REPLACEMENTS: list[dict[str, Any]] = []
"""Keyword arguments of the host's ``NodeReplace``: ``old_node_id``, ``new_node_id``, ``old_widget_ids`` (the widgets of
the old node in their order), ``input_mapping`` (``{"new_id", "old_id"}`` or ``{"new_id", "set_value"}``) and
``output_mapping`` (``{"new_idx", "old_idx"}``)."""


async def register_replacements(host: Any = comfy_api.latest) -> None:
    """Tell the host of all replacements, where it knows such a thing."""
    if not REPLACEMENTS or not hasattr(host.io, "NodeReplace"):
        return
    known = host.ComfyAPI().node_replacement
    for replacement in REPLACEMENTS:
        await known.register(host.io.NodeReplace(**replacement))
