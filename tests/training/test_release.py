"""What is released is the run's weights with a card; a detail end is only what its training changed."""

import json
from pathlib import Path

import pytest
import torch

from textovsr.models.dial import load_dialled
from textovsr.models.registry import read_metadata, read_state_dict, save_weights
from textovsr.tests.helpers.networks import tiny_network
from textovsr.training import release


def test_both_ends_are_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "FOLDER", tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps({"psnr_y": 1.5}), "utf-8")
    faithful = tiny_network(0).state_dict()
    detailed = {k: v if "text_encoder" in k else v + 0.5 for k, v in faithful.items()}
    for name, weights in (("own", faithful), ("own-detail", detailed)):
        save_weights(weights, tmp_path / "run.safetensors", {"recipe": name})
        arguments = [str(tmp_path / "run.safetensors"), name, "--metrics", str(tmp_path / "metrics.json")]
        assert release.main([*arguments, "--hardware", "abacus", "--hours", "2"]) == 0
    card = read_metadata(tmp_path / "own-detail.safetensors")
    assert (card["name"], card["recipe"], card["hardware"], card["hours"]) == (
        "own-detail",
        "own-detail",
        "abacus",
        "2",
    )
    assert json.loads(card["metrics"]) == {"psnr_y": 1.5}
    held = read_state_dict(tmp_path / "own-detail.safetensors")
    assert held
    assert not any("text_encoder" in key for key in held)
    for key, value in load_dialled(tmp_path / "own.safetensors", 0.0).state_dict().items():
        torch.testing.assert_close(value, detailed[key].half().to(value.dtype), msg=key)
