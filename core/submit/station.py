"""One server's part of the work: files go there, prompts are watched, results come back."""

import json
import threading
import uuid
from pathlib import PurePosixPath

from ..errors import CancelledError, InputError, RefusedError, ServerError
from .client import ENDINGS, ComfyClient, Event, PromptResult, node_progress
from .pool import Pool, Server
from .task import Task
from .workflow import Workflow

_POLL = 1.0
"""Seconds between two looks at the queue; the websocket calls for one earlier."""

_LISTEN = 0.5
_RECONNECT = 2.0


class Station:
    """A server, watched by two threads: one that works, one that listens to its progress.

    The queue and the history say what has become of a prompt, so that a lost websocket costs nothing but the progress.
    """

    def __init__(self, server: Server, pool: Pool, workflow: Workflow) -> None:
        self.server, self._pool, self._workflow = server, pool, workflow
        self.client = ComfyClient(server.address, pool.ledger.client_id)
        self._wake = threading.Event()

    def work(self) -> None:
        """Do tasks until the pool stops.

        Raises:
            SettingError: the server's nodes have no such input.
            DiskFullError: there is no room here for a result, or for the ledger.
        """
        while not self._pool.stopped.is_set():
            try:
                self._look()
                if self._start_next():
                    continue
            except (ServerError, RefusedError) as error:
                self.server.failed(str(error))
            except CancelledError:
                return
            self._wake.wait(_POLL)
            self._wake.clear()

    def listen(self) -> None:
        """Follow what the server says about the progress until the pool stops."""
        while not self._pool.stopped.is_set():
            try:
                with self.client.listen() as messages:
                    while not self._pool.stopped.is_set():
                        message = messages.receive(_LISTEN)
                        if isinstance(message, str):
                            self._hear(json.loads(message))
            except ServerError:
                self._pool.stopped.wait(_RECONNECT)

    def cancel(self) -> None:
        """Take back what was queued here; the pool has stopped.

        What waits comes first: else it would begin as soon as what runs has ended.
        """
        for task in sorted(self._pool.at(self.server), key=lambda task: task.state == "running"):
            if task.prompt_id:
                self.client.cancel(task.prompt_id)
            task.wait_again()
            self._pool.ledger.note(task)

    def _hear(self, event: Event) -> None:
        prompt_id = (event.get("data") or {}).get("prompt_id")
        if not prompt_id or all(task.prompt_id != prompt_id for task in self._pool.at(self.server)):
            return
        if event["type"] in ENDINGS:
            self._wake.set()
        for node, value, maximum in node_progress(event):
            done, total = (value, maximum) if maximum > 1 else (0.0, 0.0)  # to one: it knows nothing better
            self._pool.progress(self.server, prompt_id, self._workflow.title(node), done, total)

    def _look(self) -> None:
        """See how the server is and what has become of its tasks."""
        if not self.server.met:
            self._meet()
        running, pending = self.client.queue()
        self.server.load = len(running) + len(pending)
        self.server.answered()
        while self.server.abandoned:
            self.client.cancel(next(iter(self.server.abandoned)))
            self.server.abandoned.pop()
        for task in self._pool.at(self.server):
            if task.prompt_id in running:
                task.start_running()
            elif task.prompt_id not in pending:
                self._settle(task, task.prompt_id)
            elif self._pool.is_wanted(task) and self.client.withdraw(task.prompt_id):
                self._pool.hand_on(task)

    def _meet(self) -> None:
        stats = self.client.get("/system_stats")
        if not (isinstance(stats, dict) and "system" in stats):
            raise ServerError(f"Expected a ComfyUI at {self.server.address}, got something else.")
        self._workflow.check_settings(self.client.object_info)

    def _settle(self, task: Task, prompt_id: str) -> None:
        """Do what is to be done about a prompt that is no longer in the queue."""
        record = self.client.record(prompt_id)
        if record is None:
            self._pool.give_back(task, f"{self.server.address} knows nothing of it any more: it was started again.")
            return
        result = PromptResult.of(record)
        if result.status == "success":
            if self._pool.claim(task, self.server, prompt_id):
                self._fetch(task, result)
        elif result.status == "interrupted":
            self._pool.fail(task, f"It was cancelled at {self.server.address}.")
        else:
            self._pool.refuse(task, _in_its_words(result))

    def _fetch(self, task: Task, result: PromptResult) -> None:
        written = [file for file in result.files() if file.get("type") == "output"]
        if not written:
            self._pool.fail(task, "The workflow wrote no file to the output folder: add a node that saves the video.")
            return
        ledger, parts = self._pool.ledger, []
        try:
            for file in written:
                parts.append(ledger.part())
                self.client.download(file, parts[-1], self._check)
            suffixes = [PurePosixPath(file["filename"]).suffix for file in written]
            names = [ledger.place(part, task.source, suffix) for part, suffix in zip(parts, suffixes, strict=True)]
            self._pool.finish(task, names)
        except RefusedError as error:
            self._pool.refuse(task, str(error))
        except ServerError as error:
            self._pool.stumble(task, str(error))
            raise
        finally:
            for part in parts:
                part.unlink(missing_ok=True)

    def _start_next(self) -> bool:
        """Send the next task, if there is one for this server; whether there was."""
        task = self._pool.take(self.server)
        if task is None:
            return False
        try:
            prompt = self._workflow.reading(self.client.upload(task.source, self._check))
            self._check()
            prompt_id = str(uuid.uuid4())
            self._pool.queue(task, prompt_id)  # before it is sent: a run that dies here must find it again
            self.client.submit(prompt, prompt_id)
        except ServerError as error:
            self._pool.give_back(task, str(error))
            raise
        except (RefusedError, InputError, OSError) as error:
            self._pool.refuse(task, str(error))
        return True

    def _check(self) -> None:
        """Stop what takes long when the pool has stopped.

        Raises:
            CancelledError: it has.
        """
        if self._pool.stopped.is_set():
            raise CancelledError("The run was stopped.")


def _in_its_words(result: PromptResult) -> str:
    """What a failed node said."""
    error = result.error or {}
    said = str(error.get("exception_message", "")).strip() or str(error.get("exception_type", "")) or result.status
    return f"{error['node_type']} failed: {said}" if "node_type" in error else f"The workflow failed: {said}"
