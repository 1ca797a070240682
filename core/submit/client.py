"""Talk to a running ComfyUI over HTTP and its websocket, as its own front end does."""

import contextlib
import http.client
import itertools
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..durable import disk_full_explained
from ..errors import RefusedError, ServerError, SettingError, WorkflowError
from .answers import read_whole
from .upload import Form
from .websocket import WebSocket

Event = dict[str, Any]
Prompt = dict[str, Any]
"""A workflow in API format: nodes by their number."""

ENDINGS = {"execution_success": "success", "execution_error": "error", "execution_interrupted": "interrupted"}
HISTORY_SECONDS = 60.0
"""The history is written a little after the websocket says that a prompt has ended."""

_SECONDS = 60.0
_BLOCK = 1 << 20


class PromptRejectedError(WorkflowError):
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

    @staticmethod
    def of(record: dict[str, Any]) -> "PromptResult":
        """Read a record of the history."""
        status = record.get("status") or {}
        said = dict(status.get("messages", []))
        ending = next((name for kind, name in ENDINGS.items() if kind in said), status.get("status_str", "error"))
        return PromptResult(ending, record.get("outputs", {}), error=said.get("execution_error"))

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
    """A ComfyUI at an address such as http://127.0.0.1:8188.

    Every method raises ServerError when nothing, or no ComfyUI, answers, and RefusedError when it says no.

    Raises:
        SettingError: the address is none.
    """

    def __init__(self, address: str, client_id: str = "") -> None:
        self.address = clean_address(address)
        self.client_id = client_id or uuid.uuid4().hex

    def get(self, path: str) -> Any:
        """Return the JSON that GET answers with."""
        with self._open(path) as answer:
            return json.loads(read_whole(answer, self.address))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON; return the JSON of the answer, or None when it is empty."""
        with self._open(path, json.dumps(body).encode(), {"Content-Type": "application/json"}) as answer:
            return json.loads(text) if (text := read_whole(answer, self.address)) else None

    @contextlib.contextmanager
    def _open(self, path: str, data: Any = None, headers: dict[str, str] | None = None) -> Iterator[Any]:
        """A request and its answer."""
        request = urllib.request.Request(self.address + path, data, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error, path) from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = getattr(error, "reason", error)
            raise ServerError(
                f"Expected a ComfyUI at {self.address}, got: {reason or type(error).__name__}."
            ) from error
        except json.JSONDecodeError as error:
            raise ServerError(
                f"Expected a ComfyUI at {self.address}, got an answer to {path} that is no JSON."
            ) from error

    def _refusal(self, error: urllib.error.HTTPError, path: str) -> Exception:
        text = error.read().decode("utf-8", "replace").strip()
        if path == "/prompt" and error.code == http.client.BAD_REQUEST and text.startswith("{"):
            return PromptRejectedError(json.loads(text))
        place = path.partition("?")[0]
        said = f"the server at {self.address} answers {error.code} {error.reason} to {place}"
        if error.code >= http.client.INTERNAL_SERVER_ERROR:
            return ServerError(f"Expected a ComfyUI that works, but {said}.")
        return RefusedError(f"Expected to be served, but {said}; is it a ComfyUI, and may you use it?")

    def object_info(self, node_id: str = "") -> dict[str, Any]:
        """Return what ComfyUI knows about one node, or about all."""
        return dict(self.get(f"/object_info/{urllib.parse.quote(node_id)}" if node_id else "/object_info"))

    def interrupt(self) -> None:
        """Cancel what is running."""
        self.post("/interrupt", {})

    def free(self) -> None:
        """Unload every model and forget cached results."""
        self.post("/free", {"unload_models": True, "free_memory": True})

    def queue(self) -> tuple[list[str], list[str]]:
        """Return the ids of the prompts that are running, and of those that wait."""
        found = self.get("/queue")
        return [item[1] for item in found["queue_running"]], [item[1] for item in found["queue_pending"]]

    def withdraw(self, prompt_id: str) -> bool:
        """Take a prompt out of the queue; whether it was still there, and neither runs nor has ended."""
        self.post("/queue", {"delete": [prompt_id]})
        return not any(prompt_id in ids for ids in self.queue()) and self.record(prompt_id) is None

    def cancel(self, prompt_id: str) -> None:
        """Take a prompt out of the queue, or stop it; others stay."""
        if not self.withdraw(prompt_id) and prompt_id in self.queue()[0]:
            self.post("/interrupt", {"prompt_id": prompt_id})

    def upload(self, file: Path, check: Callable[[], None] = lambda: None) -> str:
        """Copy a file into ComfyUI's input folder; return the name to give to a loader.

        Args:
            file: of any kind and size; read block by block.
            check: called for each block; may raise to stop.

        Raises:
            RefusedError: the server takes no file of that size.
            OSError: the file cannot be read.
        """
        form, limit = Form(file, check), self._largest_upload()
        if limit and form.size > limit:
            raise RefusedError(
                f"Expected a file of at most {limit / 1e6:.0f} MB for the server at {self.address}, got {file} with "
                f"{file.stat().st_size / 1e6:.0f} MB; start that ComfyUI with --max-upload-size and more megabytes."
            )
        with self._open("/upload/image", form.blocks(), form.headers) as answer:
            told = json.load(answer)
        return "/".join(filter(None, (told.get("subfolder"), told["name"])))

    def _largest_upload(self) -> int:
        try:
            return int(self.get("/features").get("max_upload_size", 0))
        except RefusedError:  # an older ComfyUI does not say
            return 0

    def download(self, file: dict[str, str], target: Path, check: Callable[[], None] = lambda: None) -> Path:
        """Copy one file of ``PromptResult.files()`` to ``target``; ``check`` is called for each block."""
        query = urllib.parse.urlencode({key: file.get(key, "") for key in ("filename", "subfolder", "type")})
        with self._open(f"/view?{query}") as answer, target.open("wb") as output, disk_full_explained(target):
            while block := answer.read(_BLOCK):
                check()
                output.write(block)
            size, length = output.tell(), answer.headers.get("Content-Length")
        if length and size != int(length):
            raise ServerError(f"Expected {length} bytes of {file['filename']} from {self.address}, got {size}.")
        return target

    def submit(self, prompt: Prompt, prompt_id: str = "") -> str:
        """Queue a prompt under an id of its own, or the one given; return its id.

        Raises:
            PromptRejectedError: a node, input or link is not as ComfyUI expects.
        """
        body = {"prompt": prompt, "client_id": self.client_id, "prompt_id": prompt_id or str(uuid.uuid4())}
        return str(self.post("/prompt", body)["prompt_id"])

    def listen(self) -> WebSocket:
        """Connect to the messages about this client's prompts."""
        return WebSocket(f"{self.address}/ws?clientId={self.client_id}")

    def run(
        self, prompt: Prompt, on_event: Callable[[Event], None] | None = None, timeout: float = 600.0
    ) -> PromptResult:
        """Queue a prompt and follow it to its end; ``on_event`` sees each message as it comes.

        Raises:
            PromptRejectedError: ComfyUI did not accept the prompt.
            ServerError: it did not end in time.
        """
        with self.listen() as messages:
            prompt_id = self.submit(prompt)
            result = self._follow(messages, prompt_id, on_event, time.monotonic() + timeout)
        result.outputs = self.history(prompt_id).get("outputs", {})
        return result

    def _follow(
        self, messages: WebSocket, prompt_id: str, on_event: Callable[[Event], None] | None, end: float
    ) -> PromptResult:
        """Read messages until the prompt has ended."""
        result = PromptResult("running")
        while (left := end - time.monotonic()) > 0:
            message = messages.receive(left)
            if isinstance(message, bytes):
                result.previews += 1
            if not isinstance(message, str):
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
        raise ServerError(f"The prompt {prompt_id} did not end in time.")

    def record(self, prompt_id: str) -> dict[str, Any] | None:
        """Return ComfyUI's record of a prompt, or None unless it has ended."""
        found = self.get(f"/history/{prompt_id}").get(prompt_id)
        return None if found is None else dict(found)

    def history(self, prompt_id: str) -> dict[str, Any]:
        """Return ComfyUI's record of a prompt that has ended just now."""
        end = time.monotonic() + HISTORY_SECONDS
        while time.monotonic() < end:
            if record := self.record(prompt_id):
                return record
            time.sleep(0.05)
        raise ServerError(f"ComfyUI has no history of the prompt {prompt_id}.")


def clean_address(address: str) -> str:
    """A server's address with its scheme and without a slash at its end.

    Raises:
        SettingError: it is none.
    """
    full = (address if "://" in address else f"http://{address}").rstrip("/")
    try:
        parts = urllib.parse.urlsplit(full)
        good = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port != 0
            and not (parts.query or parts.username)
        )
    except ValueError:
        good = False
    if not good or any(letter.isspace() for letter in full):
        raise SettingError(f"Expected a server's address such as http://127.0.0.1:8188, got {address!r}; correct it.")
    return full
