"""No encoder leaves real-time threads behind: they would keep the rest of the machine waiting."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from textovsr.core.config import EncodeConfig
from textovsr.core.video.priority import ordinary_priority
from textovsr.core.video.writer import VideoWriter
from textovsr.tests.core.video.test_writer import spec

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only Linux's root may have real-time threads"
)


def policies() -> dict[str, int]:
    """That of every thread there is; other tests may have left real-time ones, and such as are about to end."""
    found: dict[str, int] = {}
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):
            found[task.name] = os.sched_getscheduler(int(task.name))
    return found


def unchanged(before: dict[str, int]) -> bool:
    """Whether every thread has the policy it had, and every new one the ordinary one."""
    return all(policy == before.get(thread, os.SCHED_OTHER) for thread, policy in policies().items())


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_writing_leaves_every_thread_as_it_was(codec: str, tmp_path: Path) -> None:
    clip = torch.rand(4, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    before = policies()
    with VideoWriter(tmp_path / "out.mkv", spec(clip), EncodeConfig(codec=codec)) as writer:  # type: ignore[arg-type]
        for number, image in enumerate(clip):
            writer.write(image, 40 * number, 40)
        assert unchanged(before)
    assert unchanged(before)


def test_what_the_user_chose_is_given_back() -> None:
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        with ordinary_priority():
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
