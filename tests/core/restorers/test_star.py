"""STAR as a restorer: its sampling is the published one, its settings do what they say."""

from copy import deepcopy
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.diffusion.frame_noise import BEGINNING
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.star.config import STAR_POSITIVE, StarConfig
from textovsr.core.restorers.star.restorer import StarRestorer
from textovsr.core.restorers.star.sampling import Clip, ClipSampler
from textovsr.models.star.chunks import WHOLE
from textovsr.tests.helpers.rule import GOLDEN
from textovsr.tests.helpers.shots import WatchedParts, images
from textovsr.tests.helpers.star_shots import (
    ENOUGH,
    QUICK,
    ToyDenoiser,
    ToyVae,
    clip,
    make,
    make_toy,
    run,
    start,
    tiny_networks,
    toy_embed,
    toy_networks,
)
from textovsr.tests.helpers.threads import one_thread  # noqa: F401 - a fixture

PUBLISHED = StarConfig.published()


@lru_cache(maxsize=1)
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "star_sampler.npz", allow_pickle=False) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def drawn(*seeds: int, frames: int) -> list[Tensor]:
    """(F,4,3,4) of each seed, in the order that the golden runs drew them; the same seed goes on."""
    states = {seed: np.random.RandomState(seed) for seed in seeds}
    whole = [states[seed].standard_normal((1, 4, frames, 3, 4)).astype(np.float32) for seed in seeds]
    return [torch.from_numpy(values)[0].transpose(0, 1) for values in whole]


@pytest.mark.parametrize(
    ("name", "config", "frames"),
    [
        ("a", PUBLISHED, 5),
        ("b", replace(PUBLISHED, mode="normal", steps=20), 5),
        ("c", replace(PUBLISHED, window=8), 20),
    ],
)
def test_the_published_runs_are_reproduced(name: str, config: StarConfig, frames: int) -> None:
    """Golden: reached 3e-6 of values up to 2.5; the third one samples four windows of 8 frames at every step."""
    latents, beginning = drawn(3, 3, frames=frames)
    told: list[tuple[int, int]] = []

    def noise(kind: str) -> Tensor:
        return beginning if kind == BEGINNING else drawn(1000 + int(kind), frames=frames)[0]

    sampler = ClipSampler(ToyDenoiser(0.0), 0, config, lambda: None, WHOLE, lambda *step: told.append(step))
    found = sampler.sample(Clip(latents, torch.tensor([[0.7]]), torch.tensor([[-0.2]]), noise))
    expected = golden()[f"{name}_out"][0].transpose(0, 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert told == [(step + 1, len(told)) for step in range(len(told))]
    assert len(told) == (20 if name == "b" else 14)


def test_the_networks_themselves_restore_a_clip() -> None:
    frames = clip(17, 24, 40)
    found = images(list(start(frames, make(replace(QUICK, steps=2, span=9, window=9, group=9, context=0)))))
    assert found.shape == (17, 3, 96, 160)
    assert found.isfinite().all()
    assert found.std() > 0.05
    assert not torch.allclose(found[0], found[1], atol=1e-3)


@pytest.mark.parametrize("count", [1, 4])
def test_the_networks_themselves_restore_as_published(count: int) -> None:
    """With our rim: the published one makes 1280x720 of it, which takes too long."""
    config = replace(PUBLISHED, steps=2, window=2, padding="needed")
    found = images(list(start(clip(count), make(config))))
    assert found.shape == (count, 3, 64, 64)
    assert found.isfinite().all()


def test_tiles_are_blended_at_every_step_and_do_not_show() -> None:
    """Toys see no further than a pixel, so that only the seams of a hard cut would differ."""
    config = replace(QUICK, color_fix="none")
    whole, tiled = (run(clip(3, 40, 64), replace(config, tile=tile, vae_tile=tile)) for tile in (0, 64))
    assert whole.shape == tiled.shape == (3, 3, 160, 256)
    assert 0 < float((whole - tiled).abs().max()) < 0.1 * float(whole.std())


def test_the_decoder_sees_the_frames_beside_a_group_and_a_window() -> None:
    """With the frames that it looks at, groups and windows are as if all were decoded together."""
    config = replace(QUICK, span=9, window=9, overlap=3, color_fix="none")
    together = run(clip(9), replace(config, group=9))
    near = run(clip(9), config)
    torch.testing.assert_close(near, together, rtol=0, atol=1e-5)
    alone = run(clip(9), replace(config, context=0))
    assert float((alone - together)[2].abs().max()) > 1e-3, "the last of a group misses the next one"
    torch.testing.assert_close(alone[1], together[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        replace(QUICK, mode="normal"),
        replace(QUICK, steps=4),
        replace(QUICK, seed=1),
        replace(QUICK, guidance_scale=1.0),
        replace(QUICK, rescale=0.0),
        replace(QUICK, suffix=""),
        replace(QUICK, negative="bad"),
        replace(QUICK, separator=""),
        replace(QUICK, window=4),
        replace(QUICK, span=7),
        replace(QUICK, overlap=3),
        replace(QUICK, curve="cut"),
        replace(QUICK, latents="sample"),
        replace(QUICK, context=0),
        replace(QUICK, color_fix="none"),
        replace(QUICK, color_source="published"),
        replace(QUICK, tile=64),
    ],
    ids=lambda config: " ".join(f"{k}={v}" for k, v in vars(config).items() if v != getattr(QUICK, k))[:30],
)
def test_every_setting_changes_the_picture(config: StarConfig) -> None:
    frames = clip(9, 24, 40, "a street")
    found = run(frames, config)
    assert found.isfinite().all()
    assert not torch.allclose(found, run(frames), atol=1e-5)
    assert make_toy(config).identity != make_toy().identity


def test_white_around_a_small_frame_as_published() -> None:
    """Frames of 1280x720 at least go through the networks."""
    seen: list[tuple[int, ...]] = []

    class Watched(ToyVae):
        def encode(self, frames: Tensor) -> Tensor:
            seen.append(tuple(frames.shape))
            assert (frames[..., 0, 0] == 1).all()
            return super().encode(frames)

    parts = WatchedParts({**toy_networks(), "vae": Watched()})
    found = images(list(start(clip(2), make_toy(replace(PUBLISHED, steps=2), parts))))
    assert seen == [(1, 3, 720, 1280)] * 2
    assert found.shape == (2, 3, 64, 64)


def test_colours_are_those_of_the_input() -> None:
    frames = clip(3, 24, 40)
    for source in ("enlarged", "published"):
        found = run(frames, replace(QUICK, color_source=source))
        for frame, image in zip(frames, found, strict=True):
            target = make_toy().open_shot(24, 40, make_toy().plan(24, 40))._canvas.enlarge(frame.image)  # type: ignore[attr-defined]
            like = target if source == "enlarged" else frame.image
            torch.testing.assert_close(image.mean(dim=(1, 2)), like.mean(dim=(1, 2)), rtol=0, atol=1e-4)
            torch.testing.assert_close(image.std(dim=(1, 2)), like.std(dim=(1, 2)), rtol=1e-3, atol=0)


def test_what_is_said_and_how_often() -> None:
    """The text of most frames is that of the span; each is put through the text network once."""
    network = toy_networks()["text"]
    network.asked.clear()  # type: ignore[operator,union-attr]
    frames = [replace(frame, prompt="a cat" if i < 5 else " a dog ") for i, frame in enumerate(clip(13))]
    list(start(frames, make_toy()))
    assert network.asked == [QUICK.negative, f"a cat, {STAR_POSITIVE}", f"a dog, {STAR_POSITIVE}"]
    restorer = make_toy(replace(PUBLISHED, negative="x"))
    restorer.texts("a cat")
    restorer.texts("")
    assert network.asked[3:] == ["x", f"a cat{STAR_POSITIVE}", STAR_POSITIVE]
    for number in range(100):
        restorer.texts(f"{number}")
    assert len(restorer._texts) < 40


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_shows_nearly_the_same(dtype: torch.dtype) -> None:
    """Of the networks themselves; texts and autoencoder keep their precision, but the decoder computes in half."""
    parts = HeldParts(deepcopy(tiny_networks()), torch.device("cpu"), dtype, ("text", "vae"))
    config = replace(QUICK, steps=2)
    half = images(list(start(clip(2), StarRestorer(parts, config, ENOUGH))))
    whole = images(list(start(clip(2), make(config))))
    assert half.dtype == torch.float32
    assert 0 < float((half - whole).abs().mean()) < 0.1 * float(whole.std())


def test_what_is_too_large_for_half_precision_is_decoded_in_single() -> None:
    class Loud(ToyVae):
        def decode(self, latents: Tensor) -> Tensor:
            grown = torch.mm(1e5 * latents.flatten(1), torch.eye(latents[0].numel()))
            return super().decode(1e-5 * grown.float().reshape(latents.shape))

    for exact in (("text", "vae"), ()):
        networks = deepcopy({**toy_networks(), "vae": Loud()})
        parts = HeldParts(networks, torch.device("cpu"), torch.float16, exact)
        found = images(list(start(clip(2), StarRestorer(parts, QUICK, ENOUGH, toy_embed))))
        torch.testing.assert_close(found, run(clip(2)), rtol=0, atol=0.02)


def test_the_identity_is_not_of_the_memory() -> None:
    assert make_toy(memory=1 << 20).identity == make_toy().identity
    other = WatchedParts({**toy_networks(), "denoiser": ToyDenoiser(0.5)})
    assert make_toy(parts=other).identity != make_toy().identity
