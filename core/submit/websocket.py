"""The listening end of a websocket (RFC 6455): enough to follow what a ComfyUI server says, and no dependency."""

import base64
import contextlib
import hashlib
import http.client
import secrets
import socket
import ssl
import time
import urllib.parse
from collections.abc import Iterator

from ..errors import ServerError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_LARGEST = 1 << 28
"""Bytes of a message; ComfyUI's previews and outputs are far below."""

_LARGEST_HEAD = 1 << 16


class WebSocket:
    """A connection that is listened to; a context manager that closes it.

    Args:
        address: http, https, ws or wss.
        timeout: seconds to connect in.

    Raises:
        ServerError: nobody answers there, or not as a websocket.
    """

    def __init__(self, address: str, timeout: float = 30.0) -> None:
        parts = urllib.parse.urlsplit(address)
        self._where = f"{parts.scheme}://{parts.netloc}"
        self._pending = bytearray()
        self._parts: list[bytes] = []
        self._kind = _TEXT
        with _explained(self._where):
            self._socket = _connect(parts, timeout)
        try:
            with _explained(self._where):
                self._shake_hands(parts)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "WebSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye and hang up."""
        with contextlib.suppress(OSError):
            self._send(_CLOSE, b"")
        self._socket.close()

    def receive(self, timeout: float) -> str | bytes | None:
        """Wait so many seconds for a whole message: text or bytes, or None when none came.

        Raises:
            ServerError: the connection ended.
        """
        end = time.monotonic() + timeout
        with _explained(self._where):
            while True:
                while frame := self._next_frame():
                    message = self._take(*frame)
                    if message is not None:
                        return message
                left = end - time.monotonic()
                if left <= 0 or not self._read_more(left):
                    return None

    def _take(self, final: bool, kind: int, content: bytes) -> str | bytes | None:
        """Answer or collect one frame; the message that it completes."""
        if kind == _CLOSE:
            raise ServerError(f"The server at {self._where} ended the connection.")
        if kind == _PING:
            self._send(_PONG, content)
        if kind > _BINARY:
            return None
        if kind != _CONTINUED:
            self._parts, self._kind = [], kind
        self._parts.append(content)
        if not final:
            return None
        whole = b"".join(self._parts)
        return whole.decode("utf-8", "replace") if self._kind == _TEXT else whole

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        """Take a whole frame off what has come: whether it is its message's last, its kind, its content."""
        data = self._pending
        if len(data) < 2:
            return None
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start], "big")
        if data[1] & 0x80 or size + sum(map(len, self._parts)) > _LARGEST:
            raise ServerError(f"The server at {self._where} sent something that no ComfyUI sends.")
        if len(data) < start + size:
            return None
        head, content = data[0], bytes(data[start : start + size])
        del data[: start + size]
        return bool(head & 0x80), head & 0x0F, content

    def _read_more(self, timeout: float) -> bool:
        """Add what comes within so many seconds; whether something did."""
        self._socket.settimeout(timeout)
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return False
        if not data:
            raise ServerError(f"The server at {self._where} hung up.")
        self._pending += data
        return True

    def _send(self, kind: int, content: bytes) -> None:
        """Send a short frame; a client's frames are masked."""
        mask = secrets.token_bytes(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))
        self._socket.settimeout(5.0)
        self._socket.sendall(bytes([0x80 | kind, 0x80 | len(content)]) + mask + masked)

    def _shake_hands(self, parts: urllib.parse.SplitResult) -> None:
        key = base64.b64encode(secrets.token_bytes(16))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13", "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        while b"\r\n\r\n" not in self._pending:
            if len(self._pending) > _LARGEST_HEAD or not self._read_more(30.0):
                raise ServerError(f"Expected a websocket at {self._where}, got no answer to the greeting.")
        head, _, rest = bytes(self._pending).partition(b"\r\n\r\n")
        self._pending = bytearray(rest)
        proof = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        if not (head.split(None, 2)[1:2] == [b"101"] and proof in head):
            raise ServerError(f"Expected a websocket at {self._where}, got {head.splitlines()[0].decode('latin-1')!r}.")


def _connect(parts: urllib.parse.SplitResult, timeout: float) -> socket.socket:
    secure = parts.scheme in ("https", "wss")
    standard = http.client.HTTPS_PORT if secure else http.client.HTTP_PORT
    plain = socket.create_connection((parts.hostname or "", parts.port or standard), timeout)
    if not secure:
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn the system's words for a broken connection into ours."""
    try:
        yield
    except OSError as error:
        raise ServerError(f"Expected a ComfyUI at {where}, got: {error}.") from error
