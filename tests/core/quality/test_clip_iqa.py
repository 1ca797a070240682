"""CLIP-IQA: the package pyiqa's numbers, pairs of prompts, and every form its weights come in."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import (
    DamagedWeightsError,
    SettingError,
    ShapeError,
    UnknownCheckpointError,
    WeightsNotFoundError,
)
from textovsr.core.quality.clip_files import (
    AUTOMATIC,
    PUBLISHED_CLIPS,
    caches,
    find_clip,
    list_clips,
    read_clip,
)
from textovsr.core.quality.clip_iqa import (
    PUBLISHED_PAIRS,
    PYIQA_PAIRS,
    ClipIqa,
    load_clip_iqa,
    pair_name,
    parse_pairs,
)
from textovsr.models.torchscript import is_torchscript, read_torchscript
from textovsr.tests.helpers.clip import clip_golden, small_clip, wavy_pictures

CASES = clip_golden()["cases"]
PAIRS = {"pyiqa": PYIQA_PAIRS, "published": PUBLISHED_PAIRS, "sharp / blurry": (("sharp", "blurry"),)}


class Nest(torch.nn.Module):
    """A module of the names of a state_dict, which TorchScript can store."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        for name in dict.fromkeys(key.partition(".")[0] for key in state):
            inner = {key.partition(".")[2]: value for key, value in state.items() if key.startswith(f"{name}.")}
            if name in state:
                self.register_buffer(name, state[name])
            else:
                self.add_module(name, Nest(inner))

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights as OpenAI publishes its own: a TorchScript archive in fp16."""
    path = tmp_path_factory.mktemp("clip") / "RN50.pt"
    kept = {key: value.half() if value.ndim else value for key, value in small_clip().items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        torch.jit.save(torch.jit.trace(Nest(kept).eval(), torch.zeros(1)), str(path))
    return path


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: "x".join(map(str, case["size"])))
@torch.no_grad()
def test_scores_are_those_of_pyiqa(case: dict[str, Any], pairs: str) -> None:
    """Golden numbers of pyiqa's ``clipiqa`` with these weights (tests/golden/README.md); reached: 1e-6."""
    scores = ClipIqa(small_clip(), PAIRS[pairs]).scores(wavy_pictures(*case["size"]))
    torch.testing.assert_close(scores, torch.tensor(case[pairs]), rtol=0, atol=2e-5)


@torch.no_grad()
def test_several_pairs_are_each_scored_and_averaged() -> None:
    network, frames = ClipIqa(small_clip(), PYIQA_PAIRS), wavy_pictures(2, 40, 50)
    one_by_one = [ClipIqa(small_clip(), [pair]).scores(frames) for pair in PYIQA_PAIRS]
    torch.testing.assert_close(network.pair_scores(frames), torch.stack(one_by_one, 1), rtol=0, atol=1e-5)
    torch.testing.assert_close(network.scores(frames), torch.stack(one_by_one, 1).mean(1), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_pair_turned_round_gives_the_rest() -> None:
    frames = wavy_pictures(2, 40, 50)
    ahead, back = (ClipIqa(small_clip(), [pair]).scores(frames) for pair in (("sharp", "soft"), ("soft", "sharp")))
    torch.testing.assert_close(ahead + back, torch.ones(2))
    assert (ahead - 0.5).abs().min() > 1e-3


def test_building_it_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    ClipIqa(small_clip())
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("shape", [(1, 3, 31, 64), (1, 3, 64, 31), (1, 4, 64, 64), (3, 64, 64)])
def test_frames_it_cannot_take_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"sides of at least 32 pixels .*got \("):
        ClipIqa(small_clip()).scores(torch.zeros(shape))


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", PUBLISHED_PAIRS),
        (" \n ", PUBLISHED_PAIRS),
        ("sharp / blurry", (("sharp", "blurry"),)),
        ("sharp/blurry\n\n  natural /  artificial \n", (("sharp", "blurry"), ("natural", "artificial"))),
    ],
)
def test_pairs_are_read_from_lines(text: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert parse_pairs(text) == pairs
    assert parse_pairs("\n".join(pair_name(pair) for pair in pairs)) == pairs


@pytest.mark.parametrize("line", ["sharp", "sharp /", "/ blurry", "a / b / c"])
def test_a_line_that_is_no_pair_is_refused(line: str) -> None:
    with pytest.raises(SettingError, match="a pair of prompts, the good one first, such as sharp / blurry"):
        parse_pairs(f"good / bad\n{line}")


def test_no_pair_at_all_is_refused() -> None:
    with pytest.raises(SettingError, match="at least one pair"):
        ClipIqa(small_clip(), [])


@torch.no_grad()
def test_every_form_of_the_weights_gives_the_same_scores(archive: Path, tmp_path: Path) -> None:
    state, frames = small_clip(), wavy_pictures(1, 64, 64)
    save_file(state, tmp_path / "clip.safetensors")
    torch.save(state, tmp_path / "clip.pt")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "training.pt")
    towers = {k if k.startswith(("visual.", "logit")) else f"text.{k}": v for k, v in state.items()}
    save_file(towers, tmp_path / "towers.safetensors")
    without = {key: value for key, value in state.items() if key != "logit_scale"}
    save_file({key: value.half() for key, value in without.items()}, tmp_path / "bare.safetensors")
    expected = ClipIqa(state).scores(frames)
    names = ("clip.safetensors", "clip.pt", "training.pt", "towers.safetensors", "bare.safetensors")
    for path in (archive, *(tmp_path / name for name in names)):
        torch.testing.assert_close(load_clip_iqa(path).scores(frames), expected, rtol=0, atol=1e-5, msg=path.name)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_an_archive_is_read_as_torch_reads_it(archive: Path, tmp_path: Path) -> None:
    assert is_torchscript(archive)
    expected = torch.jit.load(str(archive)).state_dict()
    found = read_torchscript(archive)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    torch.save(small_clip(), tmp_path / "plain.pt")
    assert not is_torchscript(tmp_path / "plain.pt")


def test_an_archive_that_wants_to_run_something_is_refused(archive: Path, tmp_path: Path) -> None:
    evil, mark = tmp_path / "RN50.pt", tmp_path / "ran"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(evil, "w") as target:
        for name in source.namelist():
            call = f"cposix\nsystem\n(S'touch {mark}'\ntR.".encode()
            target.writestr(name, call if name.endswith("data.pkl") else source.read(name))
    with pytest.raises(DamagedWeightsError, match=r"asks for posix\.system"):
        read_clip(evil)
    assert not mark.exists()


def test_an_archive_whose_tensor_leaves_its_storage_is_refused(archive: Path, tmp_path: Path) -> None:
    cut = tmp_path / "RN50.pt"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(cut, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:64] if "/data/" in name else data)
    with pytest.raises(DamagedWeightsError, match="download it again"):
        read_clip(cut)


def test_what_is_no_clip_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"none\.pt"):
        load_clip_iqa(tmp_path / "none.pt")
    (tmp_path / "half.safetensors").write_bytes(b"\x10\0\0\0")
    with pytest.raises(DamagedWeightsError, match=r"half\.safetensors"):
        load_clip_iqa(tmp_path / "half.safetensors")
    state = small_clip()
    only_pictures = {key: value for key, value in state.items() if key.startswith("visual.")}
    for other in ({}, only_pictures, {**state, "visual.conv1.weight": torch.zeros(1)}):
        with pytest.raises(UnknownCheckpointError, match=r"(?s)CLIP with a ResNet \(RN50\).*choose another file"):
            ClipIqa(other)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without weights."""
    for name in ("HF_HUB_CACHE", "HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    return tmp_path / "home"


def test_files_are_found_in_folders(tmp_path: Path, elsewhere: Path) -> None:
    own, shared = tmp_path / "clip_iqa", tmp_path / "text_encoders"
    (shared / "resnet50_clip.openai").mkdir(parents=True)
    own.mkdir()
    (shared / "RN50.pt").write_bytes(b"")
    (shared / "t5xxl.pt").write_bytes(b"")
    (shared / "rn50.txt").write_bytes(b"")
    save_file(small_clip(), shared / "resnet50_clip.openai" / "open_clip_model.safetensors")
    save_file({"visual.proj": torch.zeros(1)}, shared / "open_clip_vit.safetensors")
    assert list_clips([own, shared]) == ["RN50.pt", "resnet50_clip.openai/open_clip_model.safetensors"]
    save_file(small_clip(), own / "any name.safetensors")
    assert list_clips([own, shared])[0] == "any name.safetensors"
    assert find_clip(AUTOMATIC, [own, shared]) == own / "any name.safetensors"
    assert find_clip("RN50.pt", [own, shared]) == shared / "RN50.pt"
    (tmp_path / "x.pt").write_bytes(b"")
    with pytest.raises(WeightsNotFoundError, match=r"the CLIP file \.\./x\.pt"):
        find_clip("../x.pt", [own, shared])


def test_what_other_programs_keep_is_found(tmp_path: Path, elsewhere: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="Switch download on") as error:
        find_clip(AUTOMATIC, [tmp_path / "clip_iqa"])
    assert "408 MB, licence MIT" in str(error.value)
    assert str(tmp_path / "clip_iqa") in str(error.value)
    for kept in reversed(caches()):
        kept.parent.mkdir(parents=True)
        kept.write_bytes(b"")
        assert find_clip(AUTOMATIC, [tmp_path / "clip_iqa"]) == kept
    snapshot = elsewhere / ".cache/huggingface/hub/models--timm--resnet50_clip.openai/snapshots/a"
    snapshot.mkdir(parents=True)
    (snapshot / "open_clip_model.safetensors").write_bytes(b"")
    assert find_clip(AUTOMATIC, []) == snapshot / "open_clip_model.safetensors"


def test_published_files_are_named_in_full() -> None:
    assert all(len(file.sha256) == 64 and file.licence and file.url.startswith("https://") for file in PUBLISHED_CLIPS)
