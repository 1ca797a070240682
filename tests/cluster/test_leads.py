"""A place in a shot is led up to: what follows is as good as if the whole shot had been restored."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from textovsr.core.cluster.recipe import DiffusionRecipe, RecurrentRecipe
from textovsr.core.config import RecurrentConfig
from textovsr.core.journal import Pause, Position
from textovsr.core.leads import DIFFUSION_LEAD, RECURRENT_LEAD, lead_frames
from textovsr.core.quality.fidelity import psnr_y
from textovsr.core.restoration import Restoration, Result, ShotFrame, after
from textovsr.core.restorer import Restorer
from textovsr.core.restorers.dcm import DcmRestorer
from textovsr.core.restorers.settings import DiffusionSettings
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.video.reader import VideoReader
from textovsr.core.windows import WindowPlan
from textovsr.models.catalog import find_weights
from textovsr.models.sdatc.dcm import Dcm, DcmConfig
from textovsr.tests.helpers import star_shots
from textovsr.tests.helpers.exported import save_tiny_exported
from textovsr.tests.helpers.networks import save_tiny
from textovsr.tests.helpers.restorers import Trail

CPU = torch.device("cpu")
PLAN = WindowPlan(6, 2, (0, 0))


def restored(restorer: Restorer, frames: Sequence[ShotFrame], begin: int, kept: int) -> Tensor:
    """Frames from ``kept`` on, of a shot that is restored from ``begin`` on."""
    plan = restorer.plan(*frames[0].image.shape[-2:])
    items = Restoration(restorer, plan, lambda: None, print).run(frames[begin:], Pause(Position(1, begin)))
    return torch.stack([item.image for item in after(items, kept - begin) if isinstance(item, Result)])


def test_a_lead_is_of_whole_windows_and_within_the_shot() -> None:
    star = star_shots.make_toy()
    assert lead_frames(star, PLAN, 100) == DIFFUSION_LEAD * 6
    assert lead_frames(star, PLAN, 100, wanted=7) == 12
    assert lead_frames(star, PLAN, 5) == 5
    assert lead_frames(star, PLAN, 100, wanted=-1) == lead_frames(Trail(), PLAN, 100) == 100
    assert lead_frames(star, PLAN, 100, wanted=0) == 0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def test_cleaning_that_the_first_window_decides_needs_the_whole_shot(tiny: Path) -> None:
    for threshold, lead in ((255.0, -(-RECURRENT_LEAD // 6) * 6), (5.0, 100)):
        recipe = RecurrentRecipe(tiny, RecurrentConfig(cleaning_threshold=threshold))
        restorer = recipe.make(recipe.files, CPU)
        assert isinstance(restorer, TextOVSRRestorer)
        assert lead_frames(restorer, PLAN, 100) == lead


def test_exported_weights_are_led_up_to_as_others_are(tmp_path: Path) -> None:
    """In 8 bits; and they keep to processors, of which a worker with a card has none of its own."""
    recipe = RecurrentRecipe(save_tiny_exported(tmp_path / "tiny8.safetensors"), RecurrentConfig(window=4))
    restorer = recipe.make(recipe.files, CPU)
    assert lead_frames(restorer, PLAN, 100) == -(-RECURRENT_LEAD // 6) * 6
    assert (recipe.on_processors, RecurrentRecipe(find_weights("textovsr-lite", [])).on_processors) == (True, False)
    generator = torch.Generator().manual_seed(0)
    frames = [ShotFrame(torch.rand(3, 32, 32, generator=generator), "", 0, index) for index in range(24)]
    whole, led, bare = (restored(restorer, frames, begin, 20) for begin in (0, 20 - RECURRENT_LEAD, 20))
    assert (led - whole).abs().max() < 1 / 255
    assert (bare - whole).abs().max() > (led - whole).abs().max()


def test_where_nothing_is_carried_no_lead_is_needed() -> None:
    network = Dcm(DcmConfig()).eval()
    assert lead_frames(DcmRestorer(network, RecurrentConfig(), CPU, 1 << 30), PLAN, 100) == 0


def test_diffusion_windows_depend_on_two_windows_before_them() -> None:
    """Their latents, the noise by number of the frame, and what the decoder looks back at: nothing differs."""
    frames = star_shots.clip(28)
    whole = restored(star_shots.make_toy(), frames, 0, 16)
    length = star_shots.make_toy().plan(16, 16).length
    lead = lead_frames(star_shots.make_toy(), WindowPlan(length), 16)
    assert torch.equal(restored(star_shots.make_toy(), frames, 16 - lead, 16), whole)
    assert not torch.allclose(restored(star_shots.make_toy(), frames, 16, 16), whole, atol=1 / 255)


def test_the_shipped_network_forgets_within_its_lead(root: Path) -> None:
    """Real footage: against the tolerance of a window's border, 0.05 dB, and without a lead for comparison."""
    recipe = RecurrentRecipe(find_weights("textovsr-lite", []), RecurrentConfig(window=4, look_ahead=2))
    restorer = recipe.make(recipe.files, CPU)
    with VideoReader(root / "tests" / "data" / "validate" / "bikes_lr_degraded.mkv") as reader:
        frames = [ShotFrame(frame.image[:, :32, :48], "", 0, index) for index, frame in enumerate(reader)][:24]
    with VideoReader(root / "tests" / "data" / "validate" / "bikes_hr.mkv") as reader:
        hr = torch.stack([frame.image[:, :128, :192] for frame in reader])[20:24]
    whole, led, bare = (restored(restorer, frames, begin, 20) for begin in (0, 20 - RECURRENT_LEAD, 20))
    assert (led - whole).abs().max() < 1 / 255
    assert (bare - whole).abs().max() > 2 / 255
    assert psnr_y(whole, hr) - psnr_y(led, hr) < 0.05


def test_recipes_name_their_files(tiny: Path, tmp_path: Path) -> None:
    assert RecurrentRecipe(tiny).files == [tiny]
    shipped = find_weights("textovsr-lite", [])
    assert [path.name for path in RecurrentRecipe(shipped, fidelity=0.5).files] == [
        "textovsr-lite.safetensors",
        "textovsr-lite-detail.safetensors",
    ]
    networks = {"denoiser": tmp_path / "a", "vae": tmp_path / "b"}
    assert DiffusionRecipe("star", networks, DiffusionSettings()).files == list(networks.values())
