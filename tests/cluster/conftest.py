"""Ray on two machines that are one."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from textovsr.tests.faults.conftest import source as source
from textovsr.tests.helpers.cluster import TwoMachines
from textovsr.tests.helpers.threads import one_thread as one_thread

os.environ.update(
    {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",  # whether or not somebody's token lies in the home folder
        "RAY_memory_monitor_refresh_ms": "0",  # no worker is killed because others fill the memory
        "RAY_worker_register_timeout_seconds": "600",  # nor because its machine is slow
        "RAY_gcs_server_request_timeout_seconds": "600",
    }
)


@pytest.fixture(scope="session")
def machines() -> Iterator[TwoMachines]:
    """Two nodes with a processor each; their folder has a short name, for Ray's sockets."""
    pytest.importorskip("ray")
    folder = Path(tempfile.mkdtemp(prefix="ovt-", dir="/tmp"))
    with TwoMachines(folder) as running:
        yield running
    while folder.exists():  # what the nodes have started writes its last lines
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.1)
