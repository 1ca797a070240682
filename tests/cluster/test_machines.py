"""Machines: how they are divided, what is checked of them, and files that reach them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from textovsr.core.cluster import machines as ours
from textovsr.core.cluster.config import ClusterConfig
from textovsr.core.cluster.depot import FileId, file_id
from textovsr.core.cluster.engine import restore_on_cluster
from textovsr.core.cluster.machines import Machine, Share, Site, find_machines, shares, wants_cards
from textovsr.core.cluster.session import _join, joined
from textovsr.core.config import EncodeConfig
from textovsr.core.errors import ClusterError, SettingError
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import Order
from textovsr.tests.helpers.cluster import TrailRecipe, TwoMachines, kill

BOX = Machine("a", "box", gpus=2, cpus=9)


def test_a_machine_is_divided_by_cards_or_groups_of_processors() -> None:
    assert shares(BOX, ClusterConfig(), cards=True) == [Share(1, 0, "cuda")] * 2
    assert shares(BOX, ClusterConfig(), cards=False) == [Share(0, 4, "cpu")] * 2
    assert shares(BOX, ClusterConfig(cpus=3), cards=False) == [Share(0, 3, "cpu")] * 3
    assert shares(Machine("b", "small", 0, 1), ClusterConfig(), cards=False) == [Share(0, 1, "cpu")]
    assert not shares(Machine("c", "head", 0, 0), ClusterConfig(), cards=False)


@pytest.mark.parametrize(
    ("device", "gpus", "cards"), [("auto", 1, True), ("auto", 0, False), ("cuda", 0, True), ("cpu", 1, False)]
)
def test_a_job_is_all_on_cards_or_all_on_processors(device: str, gpus: int, cards: bool) -> None:
    assert wants_cards(device, [Machine("a", "a", 0, 4), Machine("b", "b", gpus, 4)]) == cards


@pytest.fixture
def ray(machines: TwoMachines) -> Iterator[Any]:
    with joined(machines.address) as module:
        machines.settle()
        yield module


def test_a_file_that_a_machine_lacks_is_sent(
    ray: Any, machines: TwoMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path means something here alone; another is there, but with other content."""
    monkeypatch.chdir(tmp_path)
    big, other = Path("big.bin"), tmp_path / "other.bin"
    big.write_bytes(os.urandom((9 << 20) + 5))
    other.write_bytes(b"there")
    wanted = file_id(big, "1/big.bin")
    files = [FileId(big, wanted.place, wanted.size, wanted.sha256), file_id(other, "1/other.bin")]
    site = Site(ray, find_machines(ray)[0], files)
    (sent, found), scratch = site.set_up()
    assert sent.name == "big.bin"
    assert sent.read_bytes() == big.read_bytes()
    assert not sent.is_relative_to(tmp_path)
    assert found == other
    again, other_scratch = site.set_up()
    assert again == [sent, found]
    assert scratch != other_scratch
    kill(ray, site.depot)
    with pytest.raises(ray.exceptions.RayError):  # which is told to nobody before it is asked
        site.set_up()
    assert site.set_up()[0][0].read_bytes() == big.read_bytes()
    site.close()
    assert not machines.left()
    assert not sent.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_a_machine_that_is_slow_keeps_its_files(
    ray: Any, machines: TwoMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others of its workers use them while one that was lost is cleared away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ours, "CLOSING", 0.1)
    path = Path("a.bin")
    path.write_bytes(b"content")
    site = Site(ray, find_machines(ray)[0], [FileId(path, "1/a.bin", 7, file_id(path, "").sha256)])
    files, scratch = site.set_up()
    depot = psutil.Process(ray.get(site.depot.__ray_call__.remote(lambda _: os.getpid())))
    depot.suspend()
    site.clear(scratch)
    depot.resume()
    assert site.set_up()[0] == files
    assert files[0].read_bytes() == b"content"
    monkeypatch.undo()
    site.close()
    assert not machines.left()


@pytest.mark.skipif(torch.cuda.is_available(), reason="as if there were cards")
def test_each_worker_of_a_box_has_a_card_of_its_own(machines: TwoMachines, source: Path, tmp_path: Path) -> None:
    """Ray shows each worker one of the box's cards; and all of a job is on cards, though other machines are free."""

    class Worker:  # in here it travels as it is, and nobody imports PyTorch for it
        def cards(self) -> str:
            return os.environ["CUDA_VISIBLE_DEVICES"]

    with machines.with_cards(2), joined(machines.address) as ray:
        (box,) = (machine for machine in find_machines(ray) if machine.gpus)
        assert wants_cards("auto", find_machines(ray))
        divided = shares(box, ClusterConfig(), cards=True)
        actors = [ray.remote(Worker).options(**share.options(ray, box)).remote() for share in divided]
        assert sorted(ray.get([actor.cards.remote() for actor in actors])) == ["0", "1"]
        del actors
        order = Order(Source(source), tmp_path / "out.mkv", Job(encode=EncodeConfig(codec="ffv1")))
        with pytest.raises(SettingError, match="Expected a device of this machine, such as cpu or cuda, got 'cuda'"):
            restore_on_cluster(order, TrailRecipe(tmp_path), ClusterConfig(machines.address, workers=1), lambda _: None)
    assert not list(tmp_path.iterdir())


def test_a_card_is_not_chosen_for_all_machines() -> None:
    with pytest.raises(SettingError, match=r"Expected auto, cpu or cuda .* got 'cuda:1'; .* set CUDA_VISIBLE_DEVICES"):
        ClusterConfig(device="cuda:1")


def test_other_code_is_refused(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "code_identity", lambda: "textovsr 9.9")
    site = Site(ray, find_machines(ray)[0], [])
    with pytest.raises(
        ClusterError, match=r"Expected textovsr 9\.9 on .*, got textovsr \d.*; install the same versions"
    ):
        site.set_up()


def test_nobody_at_the_address_is_told() -> None:
    with (
        pytest.raises(ClusterError, match=r"to answer at 127\.0\.0\.1:9, got: .*; start it with `ray start --head`"),
        joined("127.0.0.1:9"),
    ):
        pass


def test_a_ray_that_does_not_start_is_told(tmp_path: Path) -> None:
    """It raises what it likes, such as this on a machine that needs more than the 30 s it waits."""

    class Ray:
        def init(self, **options: object) -> None:
            raise Exception("The current node timed out during startup.")

    with pytest.raises(ClusterError, match="Ray to start on this machine, got: The current node timed out during"):
        _join(Ray(), "local", tmp_path)
