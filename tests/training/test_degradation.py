"""What the estimator of degradations learns from, and that it learns."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from textovsr.core.degrade.estimator import ATTRIBUTES
from textovsr.core.degrade.operations import Operation, Resize
from textovsr.core.errors import SettingError
from textovsr.models.degradation_net import FRAMES, PATCH, load_degradation_net
from textovsr.training import degradation
from textovsr.training.degradation import DegradationConfig, border_loss, make_examples, train
from textovsr.training.degradation_data import HELD_OUT, SIDE, Material, sample_chain


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture to learn from and one that is held out."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, colour in (("one", 60), (f"x-{HELD_OUT[0]}", 190)):
        picture = rng.integers(colour - 30, colour + 30, (300, 320, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


def test_training_and_testing_share_no_picture(pictures: Path) -> None:
    rng = np.random.default_rng(0)
    assert Material(pictures).draw(rng).mean() < 0.4
    assert Material(pictures, testing=True).draw(rng).mean() > 0.6


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="Expected pictures or films"):
        Material(tmp_path)


def test_an_example_depends_on_its_number_alone(pictures: Path) -> None:
    material = Material(pictures)
    one, again, other = (material.example(index, 7) for index in (3, 3, 4))
    assert torch.equal(one.clip, again.clip)
    assert torch.equal(one.positions, again.positions)
    assert not torch.equal(one.clip, other.clip)
    assert one.clip.shape == (FRAMES, 3, PATCH, PATCH)
    assert one.positions.shape == (len(ATTRIBUTES),)


def test_every_chain_ends_at_a_quarter(pictures: Path) -> None:
    rng = np.random.default_rng(1)

    def final(chain: list[Operation]) -> tuple[int, int]:
        return [operation.size for operation in chain if isinstance(operation, Resize)][-1]

    assert {final(sample_chain((SIDE, SIDE), rng)) for _ in range(200)} == {(SIDE // 4, SIDE // 4)}


def test_the_loss_is_least_where_the_truth_is() -> None:
    positions = torch.tensor([[0.5, 0.9, -0.5, 0.1, 0.5]])
    right = torch.tensor([[[8.0, 8, -8], [8, 8, 8], [-8, -8, -8], [8, -8, -8], [8, 8, -8]]])
    assert border_loss(right, positions) < 0.1
    assert border_loss(-right, positions) > 5
    assert border_loss(torch.zeros(1, 5, 3), positions) == pytest.approx(math.log(2), abs=1e-4)


def test_examples_are_made_once_and_a_network_learns_from_them(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(degradation, "SHARD", 8)
    arguments = [str(pictures), str(tmp_path), "--examples", "16", "--workers", "0", "--batch", "8", "--epochs", "1"]
    assert degradation.main(arguments) == 0
    files = sorted((tmp_path / "examples").iterdir())
    assert [load_file(file)["clip"].shape[0] for file in files] == [8, 8]
    load_degradation_net(tmp_path / "degradation.safetensors")
    made = [file.stat().st_mtime_ns for file in files]
    files[1].unlink()
    config = DegradationConfig(pictures, tmp_path, examples=16, workers=0, batch=8, epochs=12)
    assert make_examples(config) == files
    assert files[0].stat().st_mtime_ns == made[0]
    assert files[1].exists()
    network = train(config, files).train()  # so few steps leave the running statistics behind
    file = load_file(files[0])
    with torch.no_grad():
        assert border_loss(network(file["clip"].float() / 255), file["positions"]) < 0.55
