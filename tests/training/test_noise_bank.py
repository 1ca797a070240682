"""The noise bank: the collection's rule, its borders, files and what is drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.errors import DamagedWeightsError, SettingError
from textovsr.tests.helpers.training import write_film
from textovsr.training.noise_bank import (
    LENGTH,
    Collection,
    collect,
    draw,
    flat_windows,
    load_bank,
    save_bank,
    synthesise,
)


def even(level: float = 0.5, frames: int = 4, size: tuple[int, int] = (64, 64)) -> Tensor:
    return torch.full((frames, 3, *size), level)


def alternating(deviation: float, frames: int = 4) -> Tensor:
    """Grey frames whose grey levels lie ``deviation`` of 255 beside the middle: variance deviation^2."""
    checks = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 2 - 1
    return even(frames=frames) + checks * deviation / 255


@pytest.mark.parametrize(("variance", "kept"), [(0, 1), (49, 1), (51, 0)])
def test_windows_are_kept_below_a_variance_of_fifty(variance: float, kept: int) -> None:
    assert len(flat_windows(alternating(variance**0.5))) == kept


def test_black_windows_are_not_kept() -> None:
    assert len(flat_windows(even(0.0))) == 0


@pytest.mark.parametrize(("step", "kept"), [(14, 1), (14.3, 0)])
def test_windows_whose_brightness_changes_are_not_kept(step: float, kept: int) -> None:
    """Half the frames are brighter by ``step``: a variance over time of (step/2)^2, kept up to 50."""
    clip = even()
    clip[2:] += step / 255
    assert len(flat_windows(clip)) == kept


def test_a_single_frame_that_is_not_flat_is_enough() -> None:
    clip = even()
    clip[2, :, :32] = 0.9
    assert len(flat_windows(clip)) == 0


def test_a_variance_that_changes_over_time_is_enough() -> None:
    """From 0 to 49 and back: each is flat enough, their variance over time is 600."""
    assert len(flat_windows(torch.cat([alternating(0, 2), alternating(7, 2)]))) == 0


def test_windows_stand_side_by_side_and_keep_their_pixels() -> None:
    clip = even(size=(130, 200))
    clip[:, :, 64:128, 128:192] += torch.tensor([0.1, 0.0, 0.05]).view(3, 1, 1)
    clip[:, :, :64, 64:80] = 0.9
    found = flat_windows(clip)
    assert found.shape == (5, 4, 3, 64, 64)
    torch.testing.assert_close(found[-1], clip[:, :, 64:128, 128:192])


def test_noise_is_collected_where_a_film_is_flat(folder: Path, tmp_path: Path) -> None:
    """The film of the fixture is nowhere flat; a film of a wall is."""
    with pytest.raises(SettingError, match=r"none that stays flat for 30 frames in 64 x 64"):
        collect(folder, 4)
    write_wall(tmp_path / "more" / "wall.mp4")
    write_film(tmp_path / "film.mp4", frames=LENGTH)
    told: list[str] = []
    found = collect(tmp_path, 3, report=told.append)
    assert found.sources == {"wall.mp4": 3}
    assert len({noise.numpy().tobytes() for noise in found.sequences}) == 3
    assert all(noise.shape == (LENGTH, 3, 64, 64) and noise.dtype == torch.uint8 for noise in found.sequences)
    assert told == ["film.mp4: 0 sequences of noise", "wall.mp4: 3 sequences of noise"]


def write_wall(path: Path) -> None:
    import av

    path.parent.mkdir()
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 130, 130, "yuv420p"
        for _ in range(LENGTH + 2):
            image = (120 + 3 * rng.standard_normal((130, 130, 3))).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="Expected videos in"):
        collect(tmp_path, 4)


def test_made_noise_keeps_the_rule_and_the_seed() -> None:
    made = synthesise(12, seed=1)
    assert all(len(flat_windows(noise.float() / 255)) == 1 for noise in made)
    assert all(torch.equal(a, b) for a, b in zip(made, synthesise(12, seed=1), strict=True))
    assert not torch.equal(made[0], synthesise(1, seed=2)[0])


def test_made_noise_is_noise() -> None:
    """It changes from frame to frame, by some grey levels, more in some sequences than in others."""
    changes = [float(noise.float().diff(dim=0).abs().mean()) for noise in synthesise(12)]
    assert min(changes) > 0.2
    assert max(changes) / min(changes) > 2


def test_a_bank_is_saved_and_loaded(tmp_path: Path) -> None:
    made = synthesise(3)
    save_bank(Collection(made, {"a.mp4": 3}), tmp_path / "new" / "bank.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(made, load_bank(tmp_path / "new" / "bank.safetensors"), strict=True))


def test_what_is_no_bank_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="make one with `textovsr train noise-bank`"):
        load_bank(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(DamagedWeightsError, match="make it again"):
        load_bank(tmp_path / "broken.safetensors")
    save_bank(Collection([torch.zeros(2, 3, 8, 8, dtype=torch.uint8)], {}), tmp_path / "small.safetensors")
    with pytest.raises(DamagedWeightsError, match="make it again"):
        load_bank(tmp_path / "small.safetensors")


def test_drawn_noise_goes_on_without_a_jump() -> None:
    """A sequence of 4 frames, each one grey level brighter, drawn for 11: there and back again."""
    sequence = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 64, 64)
    for seed in range(8):
        noise = draw([sequence], 11, 64, np.random.default_rng(seed)) * 255
        assert noise.shape == (11, 3, 64, 64)
        levels = noise[:, 0, 0, 0].round()
        assert set(levels.tolist()) == {0.0, 1.0, 2.0, 3.0}
        assert bool((levels.diff().abs() == 1).all())


@pytest.mark.parametrize("side", [16, 64, 96, 160])
def test_drawn_noise_has_the_size_asked_for(side: int) -> None:
    assert draw(synthesise(2), 3, side, np.random.default_rng(0)).shape == (3, 3, side, side)


def test_a_sequence_of_one_frame_stands_still() -> None:
    noise = draw([torch.zeros(1, 3, 64, 64, dtype=torch.uint8)], 3, 64, np.random.default_rng(0))
    assert noise.shape == (3, 3, 64, 64)
