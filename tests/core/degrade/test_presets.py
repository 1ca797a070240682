"""Presets: every seed gives a chain that works, and its JSON gives the same frames again."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.degrade.config import PRESETS, SCALES, DegradeConfig
from textovsr.core.degrade.operations import ImageCompression, Resize, VideoCompression
from textovsr.core.degrade.parameters import Degradation
from textovsr.core.degrade.presets import SAMPLERS
from textovsr.core.degrade.tape import Interlace
from textovsr.core.errors import SettingError
from textovsr.tests.helpers.threads import one_thread as one_thread

SIZE = (72, 98)


def moving(frames: int, height: int = SIZE[0], width: int = SIZE[1]) -> Tensor:
    """A bright square that moves over a gradient."""
    clip = torch.linspace(0.1, 0.7, width).expand(frames, 3, height, width).clone()
    for t in range(frames):
        clip[t, 0, height // 3 : height // 2, 4 + 3 * t : 24 + 3 * t] = 0.9
    return clip


def test_every_preset_has_a_sampler() -> None:
    assert tuple(SAMPLERS) == PRESETS


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_frames_come_again_from_the_seed_and_from_the_parameters(preset: str, scale: int) -> None:
    clip = moving(3)
    degradation = Degradation.sample(DegradeConfig(preset, 17, scale, 0.4), SIZE)
    first = torch.stack(list(degradation.run(clip)))
    assert first.shape == (3, 3, SIZE[0] // scale, SIZE[1] // scale)
    assert 0 <= first.min() <= first.max() <= 1
    written = degradation.to_json()
    read = Degradation.from_json(written)
    assert read == degradation
    assert json.loads(written)["text"] == degradation.text != ""
    assert torch.equal(torch.stack(list(read.run(clip))), first)
    other = Degradation.sample(DegradeConfig(preset, 18, scale, 0.4), SIZE)
    assert other.chain != degradation.chain


@settings(max_examples=200, deadline=None)
@given(
    preset=st.sampled_from(PRESETS),
    seed=st.integers(0, 2**63 - 1),
    scale=st.sampled_from(SCALES),
    height=st.integers(64, 2200),
    width=st.integers(64, 4000),
)
def test_every_chain_ends_at_its_size_and_fits_its_encoders(
    preset: str, seed: int, scale: int, height: int, width: int
) -> None:
    degradation = Degradation.sample(DegradeConfig(preset, seed, scale), (height, width))
    size = (height, width)
    for operation in degradation.chain:
        if isinstance(operation, Resize):
            size = operation.size
        if isinstance(operation, VideoCompression):
            assert min(size) >= 16
            assert operation.codec != "dvvideo" or size in ((576, 720), (480, 720))
    assert size == degradation.out == (height // scale, width // scale)
    assert Degradation.from_json(degradation.to_json()) == degradation


def test_half_of_the_camcorders_are_interlaced() -> None:
    chains = [Degradation.sample(DegradeConfig("DV tape", seed), SIZE).chain for seed in range(200)]
    combed = sum(any(isinstance(operation, Interlace) for operation in chain) for chain in chains)
    assert 70 < combed < 130


@pytest.mark.parametrize("preset", ["phone messenger", "low-bitrate stream"])
@pytest.mark.parametrize("seed", range(4))
def test_a_low_rate_still_shows_the_picture(preset: str, seed: int) -> None:
    clip = moving(30)
    out = torch.stack(list(Degradation.sample(DegradeConfig(preset, seed), SIZE).run(clip)))
    error = (out - clip).square().mean((1, 2, 3)).sqrt()
    assert 0.01 < float(error.median()) < 0.12
    assert float(out[:, :, 40:].std()) > 0.6 * float(clip[:, :, 40:].std())


@pytest.mark.parametrize("quality", [35, 60, 90])
def test_a_jpeg_quality_is_that_of_other_encoders(quality: int) -> None:
    """The loss is Pillow's, within 15%."""
    image = pytest.importorskip("PIL.Image")
    import io

    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(size=(1, 3, 20, 24))).float()
    clip = torch.nn.functional.interpolate(coarse, size=(80, 96), mode="bicubic").clamp(0, 1)
    clip = (clip * 255).round() / 255
    buffer = io.BytesIO()
    pixels = (clip[0] * 255).byte().permute(1, 2, 0).numpy()
    image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    theirs = torch.from_numpy(np.array(image.open(buffer))).permute(2, 0, 1) / 255
    ours = ImageCompression(quality).apply(clip, torch.Generator())[0]
    losses = [float((result - clip[0]).square().mean().sqrt()) for result in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=0.15)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "betamax"}, "Expected a preset out of random, light.*got 'betamax'"),
        ({"scale": 2}, "Expected a scale of 1 or 4, got 2"),
        ({"seed": -1}, "Expected a seed of at least 0 and below"),
        ({"drift": 1.5}, "Expected a drift of 0 to 1, got 1.5"),
    ],
)
def test_what_is_out_of_range_is_said(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        DegradeConfig(**settings)  # type: ignore[arg-type]


def test_too_small_is_said() -> None:
    with pytest.raises(SettingError, match="at least 16 pixels a side, got 25x15; choose scale 1"):
        Degradation.sample(DegradeConfig(scale=4), (60, 100))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 1}', "not json"])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="Expected the parameters of a degradation as JSON"):
        Degradation.from_json(text)


def test_an_unknown_operation_is_refused() -> None:
    values = json.loads(Degradation.sample(DegradeConfig("VHS"), SIZE).to_json())
    values["chain"][0]["operation"] = "Sharpen"
    with pytest.raises(SettingError, match="Sharpen"):
        Degradation.from_json(json.dumps(values))
