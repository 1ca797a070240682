"""The listening end of a websocket, against a server that says exactly these bytes."""

import base64
import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator

import pytest

from textovsr.core.errors import ServerError
from textovsr.core.submit.client import ComfyClient
from textovsr.core.submit.websocket import WebSocket


def frame(kind: int, content: bytes, final: bool = True) -> bytes:
    size = len(content)
    head = bytes([kind | (0x80 if final else 0)])
    if size < 126:
        return head + bytes([size]) + content
    return head + (b"\x7e" + size.to_bytes(2, "big") if size < 1 << 16 else b"\x7f" + size.to_bytes(8, "big")) + content


LONG = 600.0
"""Seconds after which something that is waited for will not come any more."""


class Speaker:
    """A server for one visitor: it greets (rightly, or as told) and sends these bytes in pieces."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread: threading.Thread | None = None
        self._heard = bytearray()

    def __call__(self, data: bytes = b"", piece: int = 1 << 20, greeting: bytes | None = None) -> str:
        """Begin; returns the address."""
        self._thread = threading.Thread(target=self._serve, args=(data, piece, greeting), daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/ws?clientId=x"

    def _serve(self, data: bytes, piece: int, greeting: bytes | None) -> None:
        connection, _ = self._listening.accept()
        with connection:
            asked = connection.recv(1 << 16)
            key = asked.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            connection.sendall(greeting or b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: " + proof + b"\r\n\r\n")
            for start in range(0, len(data), piece):
                connection.sendall(data[start : start + piece])
            with contextlib.suppress(OSError):
                while said := connection.recv(1 << 16):
                    self._heard.extend(said)

    def heard(self) -> bytes:
        """All that the visitor said after its greeting, when it has hung up."""
        assert self._thread is not None
        self._thread.join(LONG)
        return bytes(self._heard)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # nobody has to come any more
        self._listening.close()
        self.heard()


@pytest.fixture
def speak() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.close()


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_messages_arrive_whole(speak: Speaker, piece: int) -> None:
    texts = ["short", "é" * 100, "x" * 70_000 if piece > 1 else "x" * 300]
    data = b"".join(frame(1, text.encode()) for text in texts)
    data += frame(2, b"\0\1") + frame(1, b"in ", final=False) + frame(9, b"ping") + frame(0, b"parts")
    with WebSocket(speak(data, piece)) as messages:
        got = [messages.receive(LONG) for _ in range(5)]
        assert messages.receive(0.05) is None
    assert got == [*texts, b"\0\1", "in parts"]


def test_a_ping_is_answered_with_its_content_masked(speak: Speaker) -> None:
    with WebSocket(speak(frame(9, b"ping") + frame(1, b"text"))) as messages:
        assert messages.receive(LONG) == "text"
    heard = speak.heard()
    head, size, mask, content = heard[0], heard[1], heard[2:6], heard[6:10]
    assert (head, size) == (0x8A, 0x84)
    assert bytes(byte ^ mask[index] for index, byte in enumerate(content)) == b"ping"


@pytest.mark.parametrize(
    ("data", "greeting", "words"),
    [
        (frame(8, b""), None, "ended the connection"),
        (b"\x81\xff" + bytes(12), None, "no ComfyUI sends"),
        (b"\x82\x7f" + b"\x7f" * 8, None, "no ComfyUI sends"),
        (b"", b"HTTP/1.1 403 Forbidden\r\n\r\n", "got 'HTTP/1.1 403 Forbidden'"),
        (b"", b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: wrong\r\n\r\n", "Expected a websocket"),
    ],
)
def test_a_broken_conversation_is_an_error(speak: Speaker, data: bytes, greeting: bytes | None, words: str) -> None:
    address = speak(data, greeting=greeting)
    with pytest.raises(ServerError, match=words), WebSocket(address) as messages:
        messages.receive(LONG)


def test_a_server_that_is_no_comfyui(speak: Speaker) -> None:
    address = speak(greeting=b"HTTP/1.1 101 Switching\r\n\r\n").partition("/ws")[0]
    with pytest.raises(ServerError, match="Expected a websocket"):
        ComfyClient(address).listen()
