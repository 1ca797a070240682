"""Talk to a running ComfyUI over HTTP and its websocket, as its own front end does.

Runs in the virtual environment: it needs the package ``websocket-client``.
"""

import itertools
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websocket

from .errors import DevError

Event = dict[str, Any]
ENDINGS = {"execution_success": "success", "execution_error": "error", "execution_interrupted": "interrupted"}
HISTORY_SECONDS = 15.0
"""The history is written a little after the websocket says that a prompt has ended."""


class PromptRejectedError(DevError):
    """ComfyUI did not accept a prompt; ``details`` is its whole answer."""

    def __init__(self, details: dict[str, Any]) -> None:
        self.details = details
        super().__init__("\n".join(["ComfyUI does not accept the workflow:", *self.reasons()]))

    def reasons(self) -> list[str]:
        """Return one line for each thing ComfyUI complains about."""
        error = self.details.get("error", {})
        lines = [f"  {error.get('message', '')}: {error.get('details', '')}"]
        for number, node in self.details.get("node_errors", {}).items():
            lines += [f"  {node['class_type']} (node {number}): {e['message']}: {e['details']}" for e in node["errors"]]
        return lines


@dataclass
class PromptResult:
    """How a prompt ended.

    Attributes:
        status: success, error or interrupted.
        outputs: for each output node, by its number in the prompt, what it shows.
        events: every message of the websocket about this prompt, in order.
        previews: the number of preview pictures received.
        error: ComfyUI's ``execution_error``: node_type, exception_type, exception_message, traceback and more.
    """

    status: str
    outputs: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    previews: int = 0
    error: dict[str, Any] | None = None

    def files(self) -> list[dict[str, str]]:
        """Return every file that the output nodes wrote, as ComfyUI names it: filename, subfolder, type."""
        shown = [value for output in self.outputs.values() for value in output.values() if isinstance(value, list)]
        return [item for value in shown for item in value if isinstance(item, dict) and "filename" in item]

    def progress(self, node: str) -> list[tuple[float, float]]:
        """Return the (value, maximum) pairs that the node with this number reported, in order, without repetitions."""
        pairs = [pair for event in self.events for number, *pair in node_progress(event) if number == node]
        return [(value, maximum) for (value, maximum), _ in itertools.groupby(pairs)]


def node_progress(event: Event) -> list[tuple[str, float, float]]:
    """Return (node, value, maximum) for every running node that a message tells about."""
    if event["type"] != "progress_state":
        return []
    nodes = event["data"]["nodes"].items()
    return [(node, state["value"], state["max"]) for node, state in nodes if state["state"] == "running"]


class ComfyClient:
    """A ComfyUI at an address such as http://127.0.0.1:8188."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self.client_id = uuid.uuid4().hex

    def get(self, path: str) -> Any:
        """Return the JSON that GET answers with."""
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON; return the JSON of the answer, or None when it is empty."""
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def object_info(self, node_id: str = "") -> dict[str, Any]:
        """Return what ComfyUI knows about one node, or about all."""
        return dict(self.get(f"/object_info/{node_id}" if node_id else "/object_info"))

    def interrupt(self) -> None:
        """Cancel what is running."""
        self.post("/interrupt", {})

    def free(self) -> None:
        """Unload every model and forget cached results."""
        self.post("/free", {"unload_models": True, "free_memory": True})

    def download(self, file: dict[str, str], target: Path) -> Path:
        """Copy one file of ``PromptResult.files()`` to ``target``."""
        query = urllib.parse.urlencode({key: file.get(key, "") for key in ("filename", "subfolder", "type")})
        with urllib.request.urlopen(f"{self.address}/view?{query}", timeout=60) as answer, target.open("wb") as output:
            while block := answer.read(1 << 20):
                output.write(block)
        return target

    def submit(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt (API format); return its id.

        Raises:
            PromptRejectedError: a node, input or link is not as ComfyUI expects.
        """
        try:
            return str(self.post("/prompt", {"prompt": prompt, "client_id": self.client_id})["prompt_id"])
        except urllib.error.HTTPError as error:
            with error:
                details = json.loads(error.read() or b"{}")
            raise PromptRejectedError(details) from None

    def run(
        self, prompt: dict[str, Any], on_event: Callable[[Event], None] | None = None, timeout: float = 600.0
    ) -> PromptResult:
        """Queue a prompt and follow it to its end; ``on_event`` sees each message as it comes.

        Raises:
            PromptRejectedError: ComfyUI did not accept the prompt.
            DevError: it did not end in time.
        """
        address = f"{self.address.replace('http', 'ws', 1)}/ws?clientId={self.client_id}"
        socket = websocket.create_connection(address, timeout=60)
        try:
            prompt_id = self.submit(prompt)
            result = self.follow(socket, prompt_id, on_event, time.monotonic() + timeout)
        finally:
            socket.close()
        result.outputs = self.history(prompt_id).get("outputs", {})
        return result

    def follow(
        self, socket: websocket.WebSocket, prompt_id: str, on_event: Callable[[Event], None] | None, end: float
    ) -> PromptResult:
        """Read messages until the prompt has ended."""
        result = PromptResult("running")
        while time.monotonic() < end:
            try:
                message = socket.recv()
            except websocket.WebSocketTimeoutException:
                continue
            if isinstance(message, bytes):
                result.previews += 1
                continue
            event: Event = json.loads(message)
            if event.get("data", {}).get("prompt_id") != prompt_id:
                continue
            result.events.append(event)
            if on_event:
                on_event(event)
            if event["type"] in ENDINGS:
                result.status = ENDINGS[event["type"]]
                result.error = event["data"] if result.status == "error" else None
                return result
        raise DevError(f"The prompt {prompt_id} did not end in time.")

    def history(self, prompt_id: str) -> dict[str, Any]:
        """Return ComfyUI's record of a prompt that has ended."""
        end = time.monotonic() + HISTORY_SECONDS
        while time.monotonic() < end:
            record = self.get(f"/history/{prompt_id}")
            if prompt_id in record:
                return dict(record[prompt_id])
            time.sleep(0.05)
        raise DevError(f"ComfyUI has no history of the prompt {prompt_id}.")
