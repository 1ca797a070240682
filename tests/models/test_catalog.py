"""Weights by name: the shipped ones first, then the user's own."""

from hashlib import sha256
from pathlib import Path

import pytest

from textovsr.core.errors import DamagedWeightsError, WeightsNotFoundError
from textovsr.models import catalog
from textovsr.models.catalog import SHIPPED, SUFFIXES, Shipped, find_weights, list_weights
from textovsr.models.published import SYSTEMS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with weights, other files, and a neighbour."""
    inside = tmp_path / "weights"
    (inside / "mine").mkdir(parents=True)
    for name in ("b.safetensors", "a.pth", "mine/c.ckpt", "readme.txt"):
        (inside / name).write_bytes(b"x")
    (tmp_path / "secret.safetensors").write_bytes(b"x")
    return inside


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only shipped file: the word ``good``."""
    entry = Shipped("one", "one.safetensors", sha256(b"good").hexdigest(), "none", "A test.")
    monkeypatch.setattr(catalog, "SHIPPED", (entry,))
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    return tmp_path / "one.safetensors"


def test_shipped_names_come_first(folder: Path) -> None:
    assert list_weights([folder]) == [entry.name for entry in SHIPPED] + ["a.pth", "b.safetensors", "mine/c.ckpt"]


def test_files_of_the_diffusion_systems_are_no_weights_to_choose(folder: Path) -> None:
    """As published or converted, wherever they lie; the recurrent network's own file is."""
    before = list_weights([folder])
    for needed in (needed for system in SYSTEMS for needed in system.needs):
        (folder / needed.file).write_bytes(b"x")
        (folder / "mine" / needed.file).with_suffix(".safetensors").write_bytes(b"x")
    assert list_weights([folder]) == before
    (folder / "TextOVSR.pth").write_bytes(b"x")
    assert sorted(list_weights([folder])) == sorted([*before, "TextOVSR.pth"])


def test_names_are_told_apart() -> None:
    assert len({entry.name for entry in SHIPPED}) == len(SHIPPED)
    assert not any(entry.name.endswith(SUFFIXES) for entry in SHIPPED)
    assert all(entry.licence and entry.purpose for entry in SHIPPED)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert list_weights([tmp_path / "none"]) == [entry.name for entry in SHIPPED]


def test_every_listed_name_is_found(folder: Path) -> None:
    for name in list_weights([folder])[len(SHIPPED) :]:
        assert find_weights(name, [folder]) == (folder / name).resolve()


def test_the_first_folder_wins(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.pth").write_bytes(b"y")
    assert find_weights("a.pth", [tmp_path / "other", folder]) == (tmp_path / "other" / "a.pth").resolve()


@pytest.mark.parametrize("name", ["../secret.safetensors", "mine/../../secret.safetensors", "{}/secret.safetensors"])
def test_nothing_outside_the_folders_is_found(folder: Path, name: str) -> None:
    with pytest.raises(WeightsNotFoundError, match="choose one of these"):
        find_weights(name.format(folder.parent), [folder])


def test_an_unknown_name_is_answered_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"a\.pth or b\.safetensors .*got 'z'.*put the file into .*weights"):
        find_weights("z", [folder])
    with pytest.raises(WeightsNotFoundError, match="put the file into no folder"):
        find_weights("z", [])


def test_a_shipped_file_is_found_when_it_is_the_shipped_one(shipped: Path) -> None:
    shipped.write_bytes(b"good")
    assert find_weights("one", []) == shipped


@pytest.mark.parametrize(("content", "word"), [(b"bad", "another file"), (None, "none")])
def test_a_shipped_file_that_changed_is_refused(shipped: Path, content: bytes | None, word: str) -> None:
    if content is not None:
        shipped.write_bytes(content)
    with pytest.raises(DamagedWeightsError, match=rf"one\.safetensors with SHA-256 .*got {word} at .*install the pack"):
        find_weights("one", [])
