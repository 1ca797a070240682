"""The listening end of a websocket, against a server that says exactly these bytes."""

import base64
import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

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


@pytest.fixture
def speak() -> Iterator[Callable[..., str]]:
    """A server that greets (rightly, or as told) and sends these bytes in pieces; returns its address."""
    listening, threads, heard = socket.create_server(("127.0.0.1", 0)), [], bytearray()

    def serve(data: bytes, piece: int, greeting: bytes | None) -> None:
        connection, _ = listening.accept()
        with connection:
            asked = connection.recv(1 << 16)
            key = asked.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            connection.sendall(greeting or b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: " + proof + b"\r\n\r\n")
            for start in range(0, len(data), piece):
                connection.sendall(data[start : start + piece])
            connection.settimeout(5)
            with contextlib.suppress(OSError):
                while said := connection.recv(1 << 16):
                    heard.extend(said)

    def start(data: bytes = b"", piece: int = 1 << 20, greeting: bytes | None = None) -> str:
        threads.append(threading.Thread(target=serve, args=(data, piece, greeting), daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/ws?clientId=x"

    start.heard = heard  # type: ignore[attr-defined]
    yield start
    for thread in threads:
        thread.join(5)
    listening.close()


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_messages_arrive_whole(speak: Any, piece: int) -> None:
    texts = ["short", "é" * 100, "x" * 70_000 if piece > 1 else "x" * 300]
    data = b"".join(frame(1, text.encode()) for text in texts)
    data += frame(2, b"\0\1") + frame(1, b"in ", final=False) + frame(9, b"ping") + frame(0, b"parts")
    with WebSocket(speak(data, piece)) as messages:
        got = [messages.receive(5) for _ in range(5)]
        assert messages.receive(0.05) is None
    assert got == [*texts, b"\0\1", "in parts"]


def test_a_ping_is_answered_with_its_content_masked(speak: Any) -> None:
    with WebSocket(speak(frame(9, b"ping"))) as messages:
        assert messages.receive(0.2) is None
    end = time.monotonic() + 5
    while len(speak.heard) < 10 and time.monotonic() < end:
        time.sleep(0.01)
    head, size, mask, content = speak.heard[0], speak.heard[1], speak.heard[2:6], speak.heard[6:10]
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
def test_a_broken_conversation_is_an_error(speak: Any, data: bytes, greeting: bytes | None, words: str) -> None:
    address = speak(data, greeting=greeting)
    with pytest.raises(ServerError, match=words), WebSocket(address) as messages:
        messages.receive(5)


def test_a_server_that_is_no_comfyui(speak: Any) -> None:
    address = speak(greeting=b"HTTP/1.1 101 Switching\r\n\r\n").partition("/ws")[0]
    with pytest.raises(ServerError, match="Expected a websocket"):
        ComfyClient(address).listen()
