"""Several users of one server at once: each queues its jobs, takes some back, stops some, and waits for the rest."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textovsr.core.submit.websocket import WebSocket
from textovsr.tests.host.load.plan import Wish
from textovsr.tools.comfy_client import ComfyClient, Event, PromptRejectedError, PromptResult, node_progress

PATIENCE = 600.0
"""Seconds that a client waits while the server says nothing; only one that stands still is silent for so long."""


@dataclass
class Outcome:
    """What became of a wish.

    Attributes:
        wish: what was asked for.
        fate: how it ended; "" if nobody knows.
        said: the message of a refusal or failure.
        files: results, as ComfyUI names them.
        least: frames that its work told first.
        prompt: as it was sent.
    """

    wish: Wish
    fate: str = ""
    said: str = ""
    kind: str = ""
    files: list[dict[str, str]] = field(default_factory=list)
    least: float = 0.0
    prompt: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        line = f"{self.wish.client} {self.wish.name:20} {self.wish.fate:10} {self.fate or '?':10}"
        return f"{line} {self.said.splitlines()[0] if self.said else ''}".rstrip()


class User:
    """A client with an id of its own, its films on the server, and its jobs.

    Args:
        address: of the server.
        wishes: what it asks for, in order.
        films: its own files, by their names here.
    """

    def __init__(self, address: str, wishes: Sequence[Wish], films: dict[str, Path]) -> None:
        self.client = ComfyClient(address)
        self.outcomes = [Outcome(wish) for wish in wishes]
        self.strange: list[Event] = []
        self._films = films
        self._known: dict[str, str] = {}
        self._ids: dict[str, Outcome] = {}
        self._stopped: set[str] = set()
        self._messages: WebSocket

    def queue_all(self) -> None:
        """Upload what is needed, and queue every job."""
        for outcome in self.outcomes:
            outcome.prompt = outcome.wish.prompt(self._upload(outcome.wish.film))
            try:
                self._ids[self.client.submit(outcome.prompt)] = outcome
            except PromptRejectedError as error:
                outcome.fate, outcome.said = "refused", "\n".join(error.reasons()) + json.dumps(error.details)

    def _upload(self, film: str) -> str:
        if film not in self._films:
            return film
        if film not in self._known:
            self._known[film] = self.client.upload(self._films[film])
        return self._known[film]

    def withdraw_some(self) -> None:
        """Take back what is to be taken back while it waits, one by one."""
        for prompt_id, outcome in self._open():
            if outcome.wish.fate == "withdrawn":
                assert self.client.withdraw(prompt_id), outcome
                outcome.fate = "withdrawn"

    def sweep(self) -> None:
        """Clear the queue, of one's own jobs only."""
        pending = self.client.get("/queue")["queue_pending"]
        mine = [item[1] for item in pending if item[3].get("client_id") == self.client.client_id]
        self.client.post("/queue", {"delete": mine})
        left = {prompt_id for ids in self.client.queue() for prompt_id in ids}
        for prompt_id, outcome in self._open():
            if prompt_id not in left and self.client.record(prompt_id) is None:
                outcome.fate = "withdrawn"

    def connect(self) -> None:
        """Begin to listen: what a server says before is lost. It greets whom it has taken down as a listener."""
        self._messages = self.client.listen()
        assert self._messages.receive(PATIENCE) is not None

    def follow(self) -> None:
        """Listen until all jobs have ended, and stop those that are to be stopped; then see what the history says."""
        end = time.monotonic() + PATIENCE
        told: set[str] = set()
        with self._messages as messages:
            while any(id_ not in told for id_, _ in self._open()) and time.monotonic() < end:
                message = messages.receive(1.0)
                if isinstance(message, str):
                    end = time.monotonic() + PATIENCE
                    self._hear(json.loads(message))
                if message is None:
                    told |= {id_ for id_, _ in self._open() if self.client.record(id_)}
        for prompt_id, outcome in self._open():
            record = self.client.record(prompt_id)
            if record is not None:
                self._conclude(outcome, PromptResult.of(record))

    def _hear(self, event: Event) -> None:
        prompt_id = (event.get("data") or {}).get("prompt_id")
        if prompt_id is None:
            return
        outcome = self._ids.get(prompt_id)
        if outcome is None:
            self.strange.append(event)
            return
        for node, done, _ in node_progress(event):
            if node == "2" and done:
                outcome.least = min(outcome.least or done, done)
                if 0 < outcome.wish.stop_at <= done and prompt_id not in self._stopped:
                    self._stopped.add(prompt_id)
                    self.client.cancel(prompt_id)

    def _conclude(self, outcome: Outcome, result: PromptResult) -> None:
        outcome.fate = {"success": "success", "error": "failed", "interrupted": "stopped"}[result.status]
        outcome.files = [file for file in result.files() if file["type"] == "output"]
        error = result.error or {}
        outcome.said, outcome.kind = str(error.get("exception_message", "")), str(error.get("exception_type", ""))

    def _open(self) -> list[tuple[str, Outcome]]:
        return [(prompt_id, outcome) for prompt_id, outcome in self._ids.items() if not outcome.fate]


def at_once(works: Sequence[Callable[[], None]]) -> None:
    """Do things in threads of their own; raises what one of them raised."""
    errors: list[BaseException] = []

    def watched(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (raised below)
            errors.append(error)

    threads = [threading.Thread(target=watched, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
