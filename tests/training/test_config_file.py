"""Settings: what is read, and that every mistake is named with its place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from textovsr.core.errors import SettingError
from textovsr.models.text_ovsr_config import LITE, TextOVSRConfig
from textovsr.training.config import NETWORKS, Losses, Stage2Config, Stage2Losses, TrainConfig
from textovsr.training.config_file import EXAMPLES, find_config, load_config, to_table

MINIMAL = 'data = "films"\noutput = "run"\nnetwork = "lite"\n'


def write(folder: Path, text: str, name: str = "a.toml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_what_is_not_said_keeps_its_default(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL))
    assert config == TrainConfig(Path("films"), Path("run"), network=LITE)
    assert type(config) is TrainConfig


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = MINIMAL.replace('network = "lite"\n', "") + (
        'stage = 2\nsteps = 10\nvgg = "vgg.pth"\nprecision = "bf16"\n[network]\npreset = "base"\nnegative = true\n'
        '[clips]\nframes = 5\nclean = 0\n[losses]\nmatching = 2\n[optimizer]\nschedule = "cosine"\n'
    )
    config = load_config(write(tmp_path, text))
    assert isinstance(config, Stage2Config)
    assert config.network == replace(NETWORKS["base"], negative=True)
    assert (config.steps, config.vgg, config.precision) == (10, Path("vgg.pth"), "bf16")
    assert (config.clips.frames, config.clips.clean) == (5, 0.0)
    assert isinstance(config.clips.clean, float)
    assert (config.losses.matching, config.losses.perceptual, config.optimizer.rate) == (2.0, 1.0, 1e-4)


def test_json_says_the_same(tmp_path: Path) -> None:
    table = {"data": "films", "output": "run", "network": {"preset": "lite", "text": {"layers": 1}}}
    config = load_config(write(tmp_path, json.dumps(table), "a.json"))
    assert config.network == replace(LITE, text=replace(LITE.text, layers=1))


def test_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + "[clips]\nframes = 5\n")
    changes = ["steps=7", "clips.frames=3", "data=other folder", "network.negative=true", "losses.sharpen=0"]
    config = load_config(path, changes)
    assert (config.steps, config.clips.frames, config.data) == (7, 3, Path("other folder"))
    assert config.network == replace(LITE, negative=True)
    assert config.losses == Losses(sharpen=0.0)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("stage = 3", "stage to be 1 or 2 or sdatc-dcm or .*, got 3"),
        ("stage = true", "stage to be 1 or 2"),
        ("rate = 1", "Expected keys among data, output, .* got 'rate'"),
        ("steps = 1.5", "a.toml: steps to be a whole number, got 1.5"),
        ("steps = true", "a whole number, got True"),
        ("steps = 0", "steps to be at least 1, got 0"),
        ("seed = -1", "seed to be at least 0"),
        ("ema = 1.5", "ema to be from 0 to 1"),
        ("ema = nan", "ema to be from 0 to 1, got nan"),
        ("basicvsr = 5", "basicvsr to be a path, got 5"),
        ('precision = "fp8"', "precision to be auto or fp32 or bf16, got 'fp8'"),
        ("clips = 5", "a table at a.toml: clips, got 5"),
        ("[clips]\nsize = 100", "a.toml: clips: Expected size to be a multiple of 64, got 100"),
        ("[clips]\nclean = 0.7\nlight = 0.7", r"clean \+ light to be at most 1"),
        ("[clips]\nfilm = 2", "film to be a share from 0 to 1, got 2.0"),
        ("[losses]\npixel = -1", "pixel to be at least 0, got -1.0"),
        ("[losses]\nperceptual = 1", "got 'perceptual'"),
        ('[optimizer]\nclip = "some"', "clip to be all or cleaning or none"),
        ("[material]\nfilm_scale = 2", "film_scale to be above 0 and at most 1"),
        ("[validation]\nclips = 0", "clips to be at least 1"),
        ("[network]\nchannels = 8", "to name lite, base, published as its preset"),
        ("steps = ", "settings in .* got what cannot be read"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, match: str) -> None:
    base = MINIMAL.replace('network = "lite"\n', "") if text.startswith("[network]") else MINIMAL
    with pytest.raises(SettingError, match=match):
        load_config(write(tmp_path, base + text))


@pytest.mark.parametrize(
    ("change", "match"), [("steps", "key=value"), ("=5", "key=value"), ("steps.more=5", "a table at steps")]
)
def test_a_mistaken_change_is_named(tmp_path: Path, change: str, match: str) -> None:
    with pytest.raises(SettingError, match=match):
        load_config(write(tmp_path, "steps = 5\n" + MINIMAL), [change])


def test_what_must_be_there_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"Expected output in a.toml, got none"):
        load_config(write(tmp_path, 'data = "x"'))
    with pytest.raises(SettingError, match=r"network \(lite, base, published\) or start, got neither"):
        load_config(write(tmp_path, 'data = "x"\noutput = "y"'))
    with pytest.raises(SettingError, match=r"config file, got 'nothing'.*choose .*finetune-lite"):
        load_config("nothing")
    with pytest.raises(SettingError, match=r"a table of settings in .* got list"):
        load_config(write(tmp_path, "[]", "a.json"))


@pytest.mark.parametrize("example", sorted(path.stem for path in EXAMPLES.glob("*.toml")))
def test_the_configs_that_come_with_the_pack_are_sound(example: str) -> None:
    config = load_config(example)
    assert find_config(example).parent == EXAMPLES
    assert getattr(config, "network", None) is not None or config.start
    stage = to_table(config)["stage"]
    if example.startswith("sdatc"):
        assert example.startswith(stage)
    else:
        assert stage == (2 if isinstance(config, Stage2Config) else 1)


def test_presets_are_networks_of_their_kind() -> None:
    assert NETWORKS["published"] == TextOVSRConfig()
    assert (NETWORKS["lite"].channels, NETWORKS["base"].channels) == (32, 64)


def test_headers_name_no_folder(tmp_path: Path) -> None:
    table = to_table(TrainConfig(tmp_path / "films", tmp_path / "run", start=str(tmp_path / "x.safetensors")))
    assert (table["data"], table["start"], table["stage"]) == ("films", "x.safetensors", 1)
    assert str(tmp_path) not in json.dumps(table)


def test_the_paper_s_weights_are_the_defaults() -> None:
    assert (Losses().pixel, Losses().cleaning, Losses().negative, Losses().sharpen) == (1, 1, 0.5, 0.5)
    second = Stage2Losses()
    assert (second.perceptual, second.clip_iqa, second.adversarial) == (1, 0.5, 0.05)
