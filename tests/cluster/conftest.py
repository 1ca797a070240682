"""Ray on two machines that are one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from textovsr.tests.faults.conftest import source as source
from textovsr.tests.helpers.cluster import TwoMachines
from textovsr.tests.helpers.threads import one_thread as one_thread

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"  # whether or not somebody's token lies in the home folder


@pytest.fixture(scope="session")
def machines() -> Iterator[TwoMachines]:
    """Two nodes with a processor each; their folder has a short name, for Ray's sockets."""
    pytest.importorskip("ray")
    folder = Path(tempfile.mkdtemp(prefix="ovt-", dir="/tmp"))
    running = TwoMachines(folder)
    yield running
    running.close()
    shutil.rmtree(folder)
