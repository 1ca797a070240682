"""Chinese names, tooltips and help: all there, nothing left over, nothing that the front end would misread.

English is what the schemas say: the front end falls back on them wherever a language has no text, so there is no
English file that could say something else. A list of what is missing in a failure is the list to translate.
"""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LANGUAGE = "zh"
HOST_CATEGORIES = {"text", "video"}
"""Parts of our categories that the front end itself translates; a translation of ours would change other menus too."""
BRANDS = {"TextOVSR"}
SAME_IN_CHINESE = {"VAE"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?", re.ASCII)
TABLE_ROW = re.compile(r"^\| ([^|]+?) \((\w+(?:, \w+)*)\) \|", re.MULTILINE)
PLACE = re.compile(r"\{\w+\}")
SAID = re.compile(r'\bsay\(\s*"([^"]*)"|^const HINT = "([^"]*)"', re.MULTILINE)
"""What the canvas's own controls say."""
FRONT_END_SYNTAX = "{}@|"
"""What vue-i18n takes for placeholders, links and plurals."""


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    """The Chinese locale."""
    return root / "locales" / LANGUAGE


@pytest.fixture(scope="module")
def english(nodes: dict[str, Any]) -> dict[str, str]:
    """Every text of our nodes by its place, as the front end asks for it."""
    texts = {}
    for name, node in nodes.items():
        schema = node.GET_SCHEMA()
        texts |= {f"{name}.display_name": schema.display_name, f"{name}.description": schema.description}
        for field in schema.inputs:
            texts |= {f"{name}.inputs.{field.id}.name": field.id, f"{name}.inputs.{field.id}.tooltip": field.tooltip}
        for index, field in enumerate(schema.outputs):
            place = f"{name}.outputs.{index}"
            texts |= {f"{place}.name": field.display_name, f"{place}.tooltip": field.tooltip}
    return texts


@pytest.fixture(scope="module")
def chinese(folder: Path) -> dict[str, str]:
    """The same of the Chinese file."""
    return flat(json.loads((folder / "nodeDefs.json").read_text("utf-8")))


def flat(tree: dict[str, Any], place: str = "") -> dict[str, str]:
    """Texts by their place in nested dictionaries, joined by dots."""
    texts: dict[str, str] = {}
    for key, value in tree.items():
        texts |= flat(value, f"{place}{key}.") if isinstance(value, dict) else {place + key: value}
    return texts


def test_every_text_is_translated(english: dict[str, str], chinese: dict[str, str]) -> None:
    missing = {place: english[place] for place in sorted(english.keys() - chinese.keys())}
    assert missing == {}, "translate these in locales/zh/nodeDefs.json"


def test_nothing_is_left_over(english: dict[str, str], chinese: dict[str, str]) -> None:
    assert sorted(chinese.keys() - english.keys()) == [], "the nodes have no such texts: remove them"


def test_every_number_is_in_the_translation(english: dict[str, str], chinese: dict[str, str]) -> None:
    """Numbers are what changes most in a tooltip: a limit, a default, a size."""
    lost = {
        place: sorted(gone)
        for place, text in english.items()
        if place in chinese and (gone := set(NUMBER.findall(text)) - set(NUMBER.findall(chinese[place])))
    }
    assert lost == {}


def test_it_is_chinese(chinese: dict[str, str]) -> None:
    assert [place for place, text in chinese.items() if not CHINESE.search(text) and text not in SAME_IN_CHINESE] == []


def test_the_front_end_can_read_every_text(chinese: dict[str, str]) -> None:
    assert [place for place, text in chinese.items() if set(text) & set(FRONT_END_SYNTAX)] == []


def test_names_are_told_apart(chinese: dict[str, str], nodes: dict[str, Any]) -> None:
    for name in nodes:
        for names in (
            [text for place, text in chinese.items() if re.fullmatch(rf"{name}\.inputs\.\w+\.name", place)],
            [text for place, text in chinese.items() if re.fullmatch(rf"{name}\.outputs\.\d+\.name", place)],
        ):
            assert len(names) == len(set(names)), names
    titles = [chinese[f"{name}.display_name"] for name in nodes]
    assert len(titles) == len(set(titles))


def test_every_category_is_translated(folder: Path, nodes: dict[str, Any]) -> None:
    parts = {part for node in nodes.values() for part in node.GET_SCHEMA().category.split("/")}
    translated = json.loads((folder / "main.json").read_text("utf-8"))["nodeCategories"]
    assert set(translated) == parts - HOST_CATEGORIES - BRANDS


def test_our_controls_speak_chinese(root: Path, folder: Path) -> None:
    sources = "".join(file.read_text("utf-8") for file in sorted((root / "js" / "canvas").glob("*.js")))
    said = {one or other for one, other in SAID.findall(sources)}
    translated = json.loads((folder / "main.json").read_text("utf-8"))["textovsr"]
    assert sorted(said - set(translated)) == [], "translate these in locales/zh/main.json"
    assert sorted(set(translated) - said) == [], "nothing says these: remove them"
    places = {text: (set(PLACE.findall(text)), set(PLACE.findall(chinese))) for text, chinese in translated.items()}
    assert [text for text, (ours, theirs) in places.items() if ours != theirs] == []


def test_the_host_serves_it(host: ModuleType, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.custom_node_manager import CustomNodeManager

    (tmp_path / "textovsr").symlink_to(root, target_is_directory=True)
    monkeypatch.setattr(host, "get_folder_paths", lambda kind: [str(tmp_path)])
    served = CustomNodeManager().build_translations()
    assert served[LANGUAGE]["nodeDefs"]["OVSR_TextOVSRUpscale"]["display_name"] == "TextOVSR 超分辨率"
    assert served[LANGUAGE]["nodeCategories"]["restore"] == "修复"


def test_the_help_explains_every_input(root: Path, nodes: dict[str, Any], chinese: dict[str, str]) -> None:
    """In tables whose rows begin with names, as on the canvas, and ids: ``| 温度、随机种子 (temperature, seed) |``."""
    wrong = {}
    for name, node in nodes.items():
        page = root / "js" / "docs" / name / f"{LANGUAGE}.md"
        if not page.is_file():
            wrong[name] = ["there is no such page"]
            continue
        text = page.read_text("utf-8")
        told = names_told(text)
        schema = node.GET_SCHEMA()
        expected = {field.id: chinese.get(f"{name}.inputs.{field.id}.name") for field in schema.inputs}
        said = [f"{field}: {word}, is {told.get(field)}" for field, word in expected.items() if told.get(field) != word]
        if not text.startswith(f"# {chinese.get(f'{name}.display_name')}\n"):
            said.append("its title is another one")
        if said:
            wrong[name] = said
    assert wrong == {}, "write these in js/docs/NODE/zh.md"


def names_told(page: str) -> dict[str, str]:
    """Ids and Chinese names in the first columns of a page's tables; inputs come first."""
    told: dict[str, str] = {}
    for names, ids in TABLE_ROW.findall(page):
        for name, field in zip(names.split("、"), ids.split(", "), strict=True):
            told.setdefault(field, name)
    return told
