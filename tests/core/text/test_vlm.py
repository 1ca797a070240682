"""Tiny LLaVAs from the disk, through transformers' own classes: what is asked, answered, refused and cancelled."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import (
    DamagedWeightsError,
    MissingDependencyError,
    OutOfMemoryError,
    SettingError,
    UnknownCheckpointError,
    WeightsNotFoundError,
)
from textovsr.core.text import vlm_folders
from textovsr.core.text.vlm import PROMPT, AskConfig, VisionLanguageModel, whole_sentences
from textovsr.core.text.vlm_folders import AUTO, find_vlm, list_vlms, load_vlm, pick_dtype
from textovsr.tests.helpers.vlms import WORDS, make_old, save_vlm

CPU = torch.device("cpu")
KINDS = ("llava", "llava_next", "llava_onevision")
Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of every kind."""
    return {kind: save_vlm(tmp_path_factory.mktemp("vlm") / kind, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def llava(folders: dict[str, Path]) -> VisionLanguageModel:
    return load_vlm(folders["llava"], CPU)


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A LLaVA's folder to spoil."""
    folder = tmp_path / "spoilt"
    folder.mkdir()
    for file in folders["llava"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def picture(seed: int, height: int = 40, width: int = 60) -> Tensor:
    """(3,h,w) uint8 noise in large blocks."""
    blocks = torch.randint(0, 256, (3, 4, 6), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return blocks.repeat_interleave(height // 4, 1).repeat_interleave(width // 6, 2)


ASK = AskConfig(max_tokens=6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_llava_answers_and_a_batch_is_its_scenes(kind: str, folders: dict[str, Path]) -> None:
    model = load_vlm(folders[kind], CPU)
    scenes = [(picture(i),) for i in range(3)]
    texts = model.caption(scenes, ASK)
    assert all(set(text.split()) <= set(WORDS) for text in texts)
    assert len(set(texts)) > 1  # it looks at the pictures
    assert texts == [model.caption([scene], ASK)[0] for scene in scenes]


def test_scenes_of_several_pictures(folders: dict[str, Path]) -> None:
    model = load_vlm(folders["llava_onevision"], CPU)
    both = [(picture(0), picture(1)), (picture(2),)]
    texts = model.caption(both, ASK)
    assert texts[0] == model.caption(both[:1], ASK)[0]
    seen = {model.caption([(picture(0), picture(i))], ASK)[0] for i in range(1, 6)}
    assert len(seen) > 1  # it looks at the second one


def test_it_is_asked_with_its_own_template(llava: VisionLanguageModel) -> None:
    assert llava._prompt("a cat", 2) == "USER: <image>\n<image>\na cat ASSISTANT:"
    assert llava.caption([(picture(0),)], AskConfig("cat", 6)) != llava.caption([(picture(0),)], AskConfig("dog", 6))


def test_a_folder_of_the_first_kind_is_completed(llava: VisionLanguageModel, copied: Path) -> None:
    old = load_vlm(make_old(copied), CPU)
    assert old._prompt("a cat", 1) == "USER: <image>\na cat ASSISTANT:"
    assert old.caption([(picture(0),)], ASK) == llava.caption([(picture(0),)], ASK)


def test_nothing_is_drawn_unless_asked_for(llava: VisionLanguageModel) -> None:
    scene, state = [(picture(1),)], torch.random.get_rng_state()

    def asked(**choice: Any) -> str:
        return llava.caption(scene, AskConfig(max_tokens=12, **choice))[0]

    assert asked(seed=1) == asked(seed=2)
    drawn = [asked(temperature=2.0, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_longest_answer_is_kept_to(llava: VisionLanguageModel) -> None:
    assert [len(llava.caption([(picture(1),)], AskConfig(max_tokens=n))[0].split()) for n in (1, 3)] == [1, 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A cat. A dog on", "A cat."),
        ("A cat. A dog.", "A cat. A dog."),
        ("a cat on a", "a cat on a"),
        ("It is 1.5 m", "It is 1.5 m"),
    ],
)
def test_an_answer_that_was_cut_ends_with_a_sentence(text: str, expected: str) -> None:
    assert whole_sentences(text) == expected


def test_cancelling_stops_at_the_next_token(llava: VisionLanguageModel) -> None:
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        llava.caption([(picture(0),)], AskConfig(max_tokens=50), check)
    assert asked == 4


def test_short_memory_halves_the_batch(llava: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = [(picture(i),) for i in range(3)]
    expected, plain = llava.caption(scenes, ASK), llava._answers

    def short(scenes: Any, ask: AskConfig, check: Any) -> list[str]:
        if len(scenes) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return plain(scenes, ask, check)

    monkeypatch.setattr(llava, "_answers", short)
    assert llava.caption(scenes, ASK) == expected

    def none(*_: Any) -> list[str]:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(llava, "_answers", none)
    with pytest.raises(OutOfMemoryError, match="4-bit precision or a smaller model"):
        llava.caption(scenes, ASK)


def test_models_are_found_by_their_config(folders: dict[str, Path], tmp_path: Path) -> None:
    root = folders["llava"].parent
    (tmp_path / "author").mkdir()
    (tmp_path / "author" / "model").symlink_to(folders["llava"])
    clip = tmp_path / "clip"
    clip.mkdir()
    (clip / "config.json").write_text(json.dumps({"architectures": ["CLIPModel"], "vision_config": {}}))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    found = list_vlms([tmp_path, root])
    assert set(found) == {"author/model", "llava"}
    assert find_vlm("llava", [tmp_path, root]) == folders["llava"]
    assert find_vlm(AUTO, [root]) == folders["llava"]


@pytest.mark.parametrize("name", [AUTO, "llava"])
def test_without_a_model_three_ways_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError) as caught:
        find_vlm(name, [tmp_path])
    said = str(caught.value)
    assert f"into {tmp_path}" in said
    assert "or have it fetched, with `download`" in said
    assert "or write the captions yourself, which needs no model" in said


def test_missing_weights_are_no_random_ones(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    lost = next(name for name in weights if "mlp.down_proj" in name)
    del weights[lost]
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    with pytest.raises(DamagedWeightsError, match=r"1 are missing or of another size, such as .*down_proj"):
        load_vlm(copied, CPU)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "processor_config.json"])
@pytest.mark.parametrize("damage", ["gone", "short"])
def test_damage_is_named(copied: Path, file: str, damage: str) -> None:
    path = copied / file
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedWeightsError, match=r"whole model in .*spoilt.*copy or download it again"):
        load_vlm(copied, CPU)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "llava_llama"}, "LLaVA's original one .* converted model of the same name from llava-hf"),
        ({"model_type": "nobody_knows"}, "Expected a kind of model that transformers knows, got nobody_knows"),
        ({"model_type": "clip_text_model"}, "Expected a model that sees and writes, got clip_text_model"),
    ],
)
def test_other_models_are_refused(copied: Path, config: dict[str, str], message: str) -> None:
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnknownCheckpointError, match=message):
        load_vlm(copied, CPU)


def test_a_pickle_is_not_loaded(copied: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(DamagedWeightsError):
        load_vlm(copied, CPU)


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"model's folder with config\.json"):
        load_vlm(tmp_path / "none", CPU)


def test_precision_follows_the_device(llava: VisionLanguageModel, folders: dict[str, Path]) -> None:
    assert llava.network.dtype == torch.float32
    assert pick_dtype(CPU, "auto", 10**15) == torch.bfloat16
    assert pick_dtype(torch.device("mps"), "auto", 1) == torch.float16
    assert pick_dtype(CPU, "float16", 1) == torch.float16
    half = load_vlm(folders["llava"], CPU, "bfloat16")
    assert half.network.dtype == torch.bfloat16
    assert len(half.caption([(picture(0),)], ASK)[0].split()) == ASK.max_tokens


def test_four_bits_need_their_packages(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setattr(vlm_folders.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="`pip install bitsandbytes accelerate`, or choose another"):
        load_vlm(folders["llava"], CPU, "4-bit")


def test_an_old_transformers_is_named(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    monkeypatch.setattr(transformers, "__version__", "4.41.2")
    with pytest.raises(MissingDependencyError, match=r"4\.46 or newer for captions, got 4\.41\.2"):
        load_vlm(folders["llava"], CPU)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"prompt": " "}, "Expected a prompt"),
        ({"max_tokens": 0}, "at least 1 token"),
        ({"temperature": -1.0}, "temperature of at least 0"),
        ({"temperature": float("nan")}, "temperature of at least 0"),
    ],
)
def test_questions_are_checked(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        AskConfig(**choice)


def test_the_default_question_asks_for_what_clip_can_read() -> None:
    assert "40 words" in PROMPT
    assert AskConfig().temperature == 0
