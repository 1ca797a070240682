"""benchmarks/consistency.py on a small clip whose motion is known: its claims hold, it tells when they do not."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.overlaps import overlapping_windows

FOLDER = Path(__file__).parents[2] / "benchmarks"
FRAMES, SIDE, STEPS = 8, 64, 8


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        return importlib.import_module("consistency")


@pytest.fixture(scope="module")
def model() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        return importlib.import_module("consistency_model")


def sliding_clip() -> Tensor:
    """Coarse and fine texture that slides by a pixel a frame."""
    chance = torch.Generator().manual_seed(1)
    coarse = F.interpolate(torch.randn(1, 3, 10, 12, generator=chance), scale_factor=8, mode="bicubic")
    fine = F.interpolate(torch.randn(1, 3, 40, 48, generator=chance), scale_factor=2, mode="bicubic")
    wide = (0.5 + 0.15 * coarse + 0.06 * fine)[0].clamp(0, 1)
    return torch.stack([wide[:, 8 : 8 + SIDE, t : t + SIDE] for t in range(FRAMES)])


@pytest.fixture(scope="module")
def scene(model: ModuleType) -> object:
    return model.make_scene(sliding_clip())


def test_the_codec_loses_nothing(model: ModuleType, scene: object) -> None:
    codec = model.Codec(scene.true)
    latents = codec.encode(scene.true)
    assert float(latents.std()) == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(codec.decode(latents), scene.true, rtol=0, atol=1e-5)


@pytest.mark.parametrize("prior", ["two-point", "gaussian"])
def test_the_denoiser_is_the_posterior_mean(model: ModuleType, scene: object, prior: str) -> None:
    """By its defining property: what it predicts is off the truth by nothing that the noisy latents know of."""
    own = model.make_model(scene, prior)
    chance = torch.Generator().manual_seed(0)
    coefficients = torch.randn(own.spread.shape, generator=chance)
    signs = coefficients.sign() if prior == "two-point" else coefficients
    truth = own.low + model._inverse_dct(signs * own.spread)
    sigma = float(own.spread.mean())
    noisy = truth + sigma * torch.randn(truth.shape, generator=chance)
    clean = own.alone(range(FRAMES))(noisy, sigma)
    error, known = truth - clean, noisy - own.low
    assert float((error * known).mean() / (known.square().mean() * error.square().mean()).sqrt()) < 0.01
    assert float(error.square().mean()) < 0.95 * float((truth - own.low).square().mean())
    assert float(error.square().mean()) < 0.95 * sigma**2


def test_a_window_of_still_frames_is_one_guess(model: ModuleType, scene: object) -> None:
    """It sums what its frames know: T observations of one detail are one observation with sigma / sqrt(T)."""
    own = model.make_model(scene, "gaussian")
    zeros = torch.zeros(2, 2, SIDE, SIDE)
    still = type(scene.motion)(zeros, zeros, zeros[:, :1], zeros[:, :1])
    video = model.Video(
        own.low[:1].expand(3, -1, -1, -1), own.spread[:1].expand(3, *own.spread.shape[1:]), "gaussian", still
    )
    x = own.low[:1] + torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    single = model.Alone(own.low[:1], own.spread[:1], "gaussian")(x.mean(dim=0, keepdim=True), 0.3 / 3**0.5)
    torch.testing.assert_close(video(x, 0.3), single.expand(3, -1, -1, -1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("ancestral", [True, False])
def test_guidance_steadies_without_softening(bench: ModuleType, scene: object, ancestral: bool) -> None:
    found = bench.guide(scene, bench.make_model(scene, "two-point"), STEPS, ancestral)
    scores = {form: bench.score(clip, scene) for form, clip in found.items()}
    true = bench.score(scene.true, scene)
    assert true.warping < 0.2 * scores[None].warping
    assert scores["corrected"].warping < 0.85 * scores[None].warping
    assert scores["corrected"].sharpness > 0.97 * scores[None].sharpness
    assert scores["reference"].warping < scores[None].warping


@pytest.mark.parametrize("kind", ["video", "video, guided"])
def test_windows_join_without_a_jump(bench: ModuleType, scene: object, kind: str) -> None:
    places = overlapping_windows(FRAMES, 4, 2)
    own = bench.make_model(scene, "two-point")

    def jump(noise: str, curve: str) -> float:
        windows = bench.Windows(*bench.KINDS[kind], noise).sample(scene, own, places, STEPS)
        return bench.jump([own.codec.decode(window) for window in windows], places, curve, scene)[0]

    hard, stitched = jump("own", "cut"), jump("own", "code")
    assert hard > 0
    assert stitched < 0.3 * hard
    assert jump("rescheduled", "cut") < 0.9 * hard
    assert jump("rescheduled", "code") < stitched


def test_no_jump_is_found_where_there_is_none(bench: ModuleType, scene: object) -> None:
    places = overlapping_windows(FRAMES, 4, 2)
    same = [scene.true[place.start : place.stop] for place in places]
    assert bench.jump(same, places, "cut", scene)[0] == pytest.approx(0, abs=1e-9)
    shifted = [window + 0.1 * (number % 2) for number, window in enumerate(same)]
    assert bench.jump(shifted, places, "cut", scene)[0] == pytest.approx(10, rel=0.05)


def test_the_cost_is_measured_of_both_forms(bench: ModuleType) -> None:
    rows = bench.cost_rows(False, (3, 4, 8, 8))
    assert [row[0] for row in rows] == ["corrected", "reference"]
    assert all(float(row[1]) > 0 for row in rows)


def test_the_picture_shows_a_line_of_every_frame(bench: ModuleType, scene: object) -> None:
    row, label = (getattr(importlib.import_module("consistency_picture"), name) for name in ("ROW_HEIGHT", "LABEL"))
    sheet = bench.beside([bench.profiles({"a": scene.true, "b": 1 - scene.true})] * 2)
    assert sheet.size == (4 * SIDE, 2 * (FRAMES * row + label))
    expected = scene.true[2, :, SIDE // 2, 4].mul(255).round().int().tolist()
    for left in (9, 2 * SIDE + 9):
        assert list(sheet.getpixel((left, label + 2 * row + 1))) == expected
