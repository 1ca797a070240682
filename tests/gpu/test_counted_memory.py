"""What a card must hold, counted on the meta device, where tensors have sizes and no numbers."""

import importlib
from pathlib import Path

import pytest
import torch

from textovsr.core.config import RecurrentConfig
from textovsr.core.restorer import PromptedFrame
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.windows import slide
from textovsr.models.catalog import find_weights
from textovsr.models.registry import load_network

FOLDER = Path(__file__).parents[2] / "benchmarks"
META = torch.device("meta")
CARD = 4_000_000_000


@pytest.mark.parametrize(
    ("name", "height"), [("textovsr-base", 1080), pytest.param("textovsr-lite", 1080, marks=pytest.mark.slow)]
)
def test_1080p_fits_4_gb_and_stays_within_the_plan(monkeypatch: pytest.MonkeyPatch, name: str, height: int) -> None:
    """80% of the card are planned with; what is counted, weights included, stays within them."""
    monkeypatch.syspath_prepend(str(FOLDER))
    memory = importlib.import_module("dry_run").DeviceMemory()
    budget, width = int(0.8 * CARD), height * 16 // 9
    network = load_network(find_weights(name, [])).to(META, torch.float16)
    restorer = TextOVSRRestorer(network, RecurrentConfig(), META, budget, torch.float16)  # type: ignore[arg-type]
    channels = restorer.network.config.channels
    restorer._texts[""] = torch.zeros(1, 77, channels, dtype=torch.float16, device=META)
    plan = restorer.plan(height, width)
    assert 0 < max(plan.tiles) < width
    frames = [PromptedFrame(torch.zeros(1).expand(3, height, width))] * (plan.length + plan.look_ahead + 1)
    with memory, torch.inference_mode():
        memory.hold(network.state_dict().values())
        shot = restorer.open_shot(height, width, plan)
        for window in slide(frames, plan):
            for _ in shot.restore(window, lambda: None):
                pass
    assert budget / 2 < memory.peak < budget
