"""What is found in a folder, how films become pieces without cuts, and what sits in memory."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from textovsr.core.errors import SettingError
from textovsr.tests.helpers.training import write_film
from textovsr.training import film, material
from textovsr.training.config import ClipConfig, MaterialConfig
from textovsr.training.film import FilmClip, crop, film_clips
from textovsr.training.material import Material, Picture, open_folder, read_image

CLIPS = ClipConfig(frames=4, size=64)


def test_all_folders_are_searched_but_hidden_ones(folder: Path, tmp_path: Path) -> None:
    found = open_folder(folder, CLIPS, MaterialConfig(film_clips=3), tmp_path)
    assert [picture.path.name for picture in found.pictures] == ["a.png", "b.jpg"]
    assert [picture.caption for picture in found.pictures] == ["", "a cat"]
    assert found.sources() == ["a.png", "b.jpg", "film.mp4"]
    assert found.weights() == pytest.approx(np.sqrt([11700, 24000]) / np.sqrt([11700, 24000]).sum())


def test_pieces_of_film_hold_no_cut(folder: Path, tmp_path: Path) -> None:
    """The film of the fixture moves two pixels a frame at this scale; at its cut everything changes."""
    found = film_clips(folder / "film.mp4", CLIPS, MaterialConfig(), tmp_path, count=12)
    assert len(found) >= 8
    for clip in found:
        pixels = clip.frames()
        assert (pixels.shape, pixels.dtype) == ((4, 3, 80, 80), np.uint8)
        assert np.abs(np.diff(pixels.astype(float), axis=0)).mean(axis=(1, 2, 3)).max() < 30


def test_films_are_decoded_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = film_clips(folder / "film.mp4", CLIPS, MaterialConfig(), tmp_path, count=2)
    monkeypatch.setattr(film, "_extract", lambda *_: pytest.fail("decoded again"))
    assert film_clips(folder / "film.mp4", CLIPS, MaterialConfig(), tmp_path, count=2) == first


def test_a_changed_film_is_decoded_again(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_film(path, frames=20)
    first = film_clips(path, CLIPS, MaterialConfig(), tmp_path / "cache", count=1)
    os.utime(path, (1, 1))
    assert film_clips(path, CLIPS, MaterialConfig(), tmp_path / "cache", count=1)[0].file != first[0].file


def test_pieces_stay_on_the_disk(folder: Path, tmp_path: Path) -> None:
    (clip,) = film_clips(folder / "film.mp4", CLIPS, MaterialConfig(), tmp_path, count=1)
    assert isinstance(clip.frames(), np.memmap)


def test_a_caption_of_a_film_goes_by_time(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes((folder / "film.mp4").read_bytes())
    path.with_suffix(".vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nfirst\n\n00:01.000 --> 00:09.000\nlater")
    found = film_clips(path, CLIPS, MaterialConfig(), tmp_path / "cache", count=6)
    assert [clip.caption for clip in found] == sorted(clip.caption for clip in found)
    assert {clip.caption for clip in found} == {"first", "later"}


def test_a_piece_is_cropped_at_random(tmp_path: Path) -> None:
    values = np.arange(6 * 3 * 70 * 90, dtype=np.uint32).astype(np.uint8).reshape(6, 3, 70, 90)
    np.save(tmp_path / "x.npy", values)
    crops = [crop(FilmClip(tmp_path / "x.npy", "x", ""), CLIPS, np.random.default_rng(seed)) for seed in range(4)]
    assert all(part.shape == (4, 3, 64, 64) and part.max() <= 1 for part in crops)
    assert len({part.numpy().tobytes() for part in crops}) == 4


def test_small_and_broken_films_are_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_film(tmp_path / "small.mp4", frames=8)
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    with pytest.raises(SettingError, match="none that can be used"):
        open_folder(tmp_path, ClipConfig(frames=2, size=192), MaterialConfig(), tmp_path / ".cache")
    assert "small.mp4 is left out: 160x160 is smaller than the clips." in caplog.text
    assert "broken.mp4 is left out" in caplog.text


def test_film_that_is_nearly_too_small_is_not_shrunk_below_the_clips(folder: Path, tmp_path: Path) -> None:
    (clip,) = film_clips(folder / "film.mp4", ClipConfig(frames=2, size=128), MaterialConfig(), tmp_path, count=1)
    assert clip.frames().shape == (2, 3, 128, 128)


def test_the_space_for_film_is_limited(folder: Path, tmp_path: Path) -> None:
    assert not open_folder(folder, CLIPS, MaterialConfig(film_gigabytes=0), tmp_path).film


def test_a_photograph_is_upright_and_no_larger_than_asked(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (300, 200), (200, 100, 50)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg", 2000).shape == (3, 300, 200)
    assert read_image(tmp_path / "a.jpg", 150).shape == (3, 150, 100)


def test_memory_for_photographs_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "CACHED_BYTES", 3 * 100 * 100 * 2)
    pictures = []
    for name in "abcd":
        Image.new("RGB", (100, 100), (ord(name), 0, 0)).save(tmp_path / f"{name}.png")
        pictures.append(Picture(tmp_path / f"{name}.png", 10_000, ""))
    found = Material(pictures, [])
    for picture in [*pictures, pictures[0], pictures[3]]:
        assert int(found.decode(picture)[0, 0, 0]) == ord(picture.path.stem)
        assert len(found._decoded) <= 2


def test_some_is_held_back() -> None:
    pictures = [Picture(Path(str(number)), 1, "") for number in range(40)]
    train, held = Material(pictures, []).split(0.05)
    assert [int(str(picture.path)) for picture in held.pictures] == [19, 39]
    assert len(train.pictures) == 38
    assert len(Material(pictures[:5], []).split(0.05)[1].pictures) == 1
    assert not Material(pictures[:3], []).split(0.05)[1]
    assert not Material(pictures, []).split(0)[1]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"folder of images and videos at .*nowhere, got none"):
        open_folder(tmp_path / "nowhere", CLIPS, MaterialConfig(), tmp_path)
    with pytest.raises(SettingError, match="got none that can be used"):
        open_folder(tmp_path, CLIPS, MaterialConfig(), tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SettingError, match=r"picture in .*a\.png"):
        open_folder(tmp_path, CLIPS, MaterialConfig(), tmp_path)


def test_a_caption_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError, match=r"caption in .*a\.txt"):
        open_folder(tmp_path, CLIPS, MaterialConfig(), tmp_path)


def test_torch_is_given_its_own_copy(tmp_path: Path) -> None:
    """A mapped file must not be written through a tensor, nor warn that it cannot be."""
    np.save(tmp_path / "x.npy", np.zeros((4, 3, 64, 64), np.uint8))
    part = crop(FilmClip(tmp_path / "x.npy", "x", ""), CLIPS, np.random.default_rng(0))
    part += 1
    assert not np.load(tmp_path / "x.npy").any()
    assert torch.all(part == 1)
