"""The client of a running ComfyUI, for the demo and the tests; it is the one that ``textovsr submit`` uses."""

from textovsr.core.submit.client import (
    ComfyClient,
    Event,
    PromptRejectedError,
    PromptResult,
    node_progress,
)

__all__ = ["ComfyClient", "Event", "PromptRejectedError", "PromptResult", "node_progress"]
