"""A web server of a test, on this machine; who is connected to one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import psutil


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Let it answer in a thread of its own; yields its address."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    with server:
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def connections(pid: int) -> int:
    """How many connections a process has, those included that the other side has closed."""
    return sum(one.status != psutil.CONN_LISTEN for one in psutil.Process(pid).net_connections("tcp"))
