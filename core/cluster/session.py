"""Joining a Ray cluster, or starting one on this machine."""

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ClusterError, MissingDependencyError
from .config import LOCAL
from .depot import swept_folder

log = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds
_LONGEST = 40
"""Characters of a folder for Ray: the path of a socket in it must fit 107."""


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """Join the cluster at an address for the length of the block, which gets the module ``ray``.

    A cluster that this process has joined already is used, and not left.

    Raises:
        MissingDependencyError: Ray is not installed.
        ClusterError: nothing answers at the address, or it runs another version of Ray or Python.
    """
    if address == LOCAL:
        _keep_to_ourselves()
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # a thread that is late must not start a Ray of its own
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "Expected the package ray for --cluster, found none; install it with: pip install ray"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    folder = _folder() if address == LOCAL else None
    try:
        _join(ray, address, folder)
        yield ray
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _join(ray: Any, address: str, folder: Path | None) -> None:
    quiet = {"configure_logging": False, "log_to_driver": False}
    alone = {"include_dashboard": False, "_temp_dir": str(folder)} if folder is not None else {}
    try:
        if folder is None:
            _knock(address)
        ray.init(address=address, **quiet, **alone)
    except Exception as error:  # Ray raises bare ones too, as when a slow machine needs longer than it waits
        why = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        where = "to start on this machine" if folder is not None else f"to answer at {address}"
        raise ClusterError(
            f"Expected Ray {where}, got: {why}; start it with `ray start --head`, give its address (auto, HOST:PORT "
            f"or ray://HOST:PORT), or {LOCAL} for this machine alone."
        ) from error


def _keep_to_ourselves() -> None:
    """Have Ray of this process report to nobody and obey nobody else, unless the user has decided about that.

    Left alone it would leave a token in the home folder, which changes clusters that are started later.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _knock(address: str) -> None:
    """See whether anything listens at ``host:port``, since Ray waits long and then ends the process.

    Raises:
        OSError: nothing does.
        ValueError: it is no address.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if address != "auto" and not colon:
        raise ValueError(f"{address!r} names no port")
    if colon:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


def _folder() -> Path:
    """A new folder with a short name, which is deleted with this process at the latest."""
    base = tempfile.gettempdir()
    short = "/tmp" if os.name == "posix" else base
    return swept_folder("ovsr-", Path(base if len(base) <= _LONGEST else short))
