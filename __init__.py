"""TextOVSR: real-world video super-resolution for ComfyUI, guided by text.

Importing this package imports nothing else: ComfyUI asks for the nodes through ``comfy_entrypoint``; tests, the command
line and training import ``textovsr.core`` and ``textovsr.models`` themselves.
"""

WEB_DIRECTORY = "./js"


async def comfy_entrypoint():  # type: ignore[no-untyped-def]  # the type lives in the host
    """Return the extension that lists our nodes; ComfyUI calls this once, at its start."""
    from .nodes.extension import TextOVSRExtension

    return TextOVSRExtension()
