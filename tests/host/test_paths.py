"""What comes over the API stays inside ComfyUI's folders: every input of every node is accounted for here."""

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from textovsr.tools.comfy_client import ComfyClient, PromptRejectedError
from textovsr.tools.comfy_server import ComfyServer

READ, LISTED, WRITTEN, CHOSEN, WORDS = "a file is read", "a folder is listed", "names a result", "checked name", "text"

TEXTS = {
    ("OVSR_LoadVideo", "file"): READ,
    ("OVSR_LoadVideo", "path"): READ,
    ("OVSR_ListVideos", "folder"): LISTED,
    ("OVSR_ListVideos", "prefix"): WORDS,  # becomes an output, which Save Video checks
    ("OVSR_LLaVACaption", "captions"): WORDS,
    ("OVSR_LLaVACaption", "prompt"): WORDS,
    ("OVSR_LLaVACaption", "repository"): CHOSEN,
    ("OVSR_LLaVACaption", "filename_prefix"): WRITTEN,
    ("OVSR_TextOVSRUpscale", "caption"): WORDS,
    ("OVSR_TextOVSRUpscale", "degradation_text"): WORDS,
    ("OVSR_DiffusionRestore", "caption"): WORDS,
    ("OVSR_DiffusionRestore", "options"): CHOSEN,
    ("OVSR_CLIPIQAScore", "prompts"): WORDS,
    ("OVSR_QualityReport", "metrics"): CHOSEN,
    ("OVSR_QualityReport", "filename_prefix"): WRITTEN,
    ("OVSR_SaveVideo", "filename_prefix"): WRITTEN,
}
"""Every text input, and every choice that is no fixed one, of all nodes: add a new one here with what becomes of it."""

OUTSIDE = [
    "../x", "..", "a/../../x", "a/..", "/etc/x", "//server/share/x", "\\\\server\\share\\x", "..\\x", "C:\\x", "c:x",
    ".textovsr/x", "a/.textovsr/x", ".x", "./../x", "a\\.b\\x", "", "  ", "/", ".",
]  # fmt: skip
UNNAMEABLE = ["a\0b", "a\nb", "a\x1b[2Jb", "\ud800", "x" * 300, "x" * 70_000, "a/" + "y" * 300 + "/b"]
INSIDE = [
    ("~/x", "~"), ("file:x", ""), ("\uff0e\uff0e\uff0fx", ""), ("a...b", ""), ("%2e%2e%2fx", ""), ("x [temp]", ""),
    ("\u202emp4", ""), ("$HOME/x", "$HOME"), ("a/", ""), ("a//b", "a"), ("nul", ""), ("a ", ""),
]  # fmt: skip


def is_choice(field: Any) -> bool:
    return field.get_io_type() == "COMBO"


def fields(nodes: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {(name, field.id): field for name, node in nodes.items() for field in node.define_schema().inputs}


@pytest.fixture
def outputs(pack: ModuleType) -> ModuleType:
    return importlib.import_module(f"{pack.__name__}.nodes.host.outputs")


@pytest.fixture
def refusal(pack: ModuleType) -> Any:
    """The error of settings, in the pack as the host has loaded it."""
    return importlib.import_module(f"{pack.__name__}.core.errors").SettingError


@pytest.fixture
def video(nodes: dict[str, Any], host: ModuleType, phone_clip: Path) -> Any:
    shutil.copyfile(phone_clip, Path(host.get_input_directory()) / "phone.mp4")
    return nodes["OVSR_LoadVideo"].execute("phone.mp4").args[0]


def everything(host: ModuleType) -> set[Path]:
    """All that lies in the host's folders and beside them."""
    return set(Path(host.get_output_directory()).parent.rglob("*"))


def test_every_text_is_accounted_for(nodes: dict[str, Any]) -> None:
    found = {key for key, field in fields(nodes).items() if field.get_io_type() == "STRING" or _uploads(field)}
    assert found == set(TEXTS), "say in TEXTS what becomes of it, and test it if it ends in a file"


def _uploads(field: Any) -> bool:
    return is_choice(field) and bool(field.upload)


def test_every_choice_is_one_of_those_offered(nodes: dict[str, Any], refusal: Any) -> None:
    """Names of weights, models, codecs, containers: this host checks no choice by itself."""
    checked = importlib.import_module(next(iter(nodes.values())).__module__.rpartition(".")[0] + ".given").check_given
    choices = {key: field for key, field in fields(nodes).items() if is_choice(field) and not field.upload}
    assert len(choices) > 25
    assert all(hasattr(node.execute, "__wrapped__") for node in nodes.values())  # by guarded()
    for name, field in choices:
        for wrong in ("../../x", "/etc/passwd", "mp4/../../x", "", None, 3, ["a"], {"a": 1}):
            with pytest.raises(refusal, match=f"as {field}, got"):
                checked(nodes[name], {field: wrong})
        checked(nodes[name], {field: choices[name, field].options[0]})


def test_numbers_and_sockets_are_checked(nodes: dict[str, Any], refusal: Any) -> None:
    checked = importlib.import_module(next(iter(nodes.values())).__module__.rpartition(".")[0] + ".given").check_given
    for (name, field), kind in fields(nodes).items():
        if kind.get_io_type() in ("INT", "FLOAT"):
            for wrong in (float("nan"), "1", None, *([kind.min - 1] if kind.min is not None else [])):
                with pytest.raises(refusal, match=f"as {field}, got"):
                    checked(nodes[name], {field: wrong})
        elif set(kind.get_io_type().split(",")) & {"VIDEO", "IMAGE", "LATENT", "VAE", "MODEL", "OVSR_FLOW"}:
            with pytest.raises(refusal, match="from another node"):
                checked(nodes[name], {field: "/etc/passwd"})


def test_a_choice_is_checked_before_a_node_works(video: Any, nodes: dict[str, Any], host: ModuleType) -> None:
    """A container that is a path, with the folder there that leads to it."""
    (Path(host.get_output_directory()) / "a_00001_.").mkdir(exist_ok=True)
    before = everything(host)
    with pytest.raises(Exception, match="Expected one of auto, mp4, mkv, mov, webm as container, got"):
        nodes["OVSR_SaveVideo"].execute(video, "a/", "/../../escaped.mp4")
    assert everything(host) == before


@pytest.mark.parametrize("prefix", OUTSIDE + UNNAMEABLE)
def test_a_prefix_does_not_lead_out(
    prefix: str, outputs: ModuleType, video: Any, nodes: dict[str, Any], host: ModuleType, refusal: Any
) -> None:
    before = everything(host)
    with pytest.raises(refusal, match="Expected a filename_prefix"):
        outputs.output_path(prefix, (1, 1), ".mp4")
    for node in ("OVSR_SaveVideo", "OVSR_QualityReport"):
        assert "Expected a filename_prefix" in nodes[node].validate_inputs(filename_prefix=prefix)
        with pytest.raises(refusal, match="Expected a filename_prefix"):
            nodes[node].execute(video, filename_prefix=prefix)
    if prefix.strip():  # no prefix at all is the video's name
        assert "Expected a filename_prefix" in nodes["OVSR_LLaVACaption"].validate_inputs(filename_prefix=prefix)
        with pytest.raises(refusal, match="Expected a filename_prefix"):
            nodes["OVSR_LLaVACaption"].execute(video, captions="a cat", filename_prefix=prefix)
    assert everything(host) == before


@pytest.mark.parametrize(("prefix", "subfolder"), INSIDE)
def test_odd_names_stay_inside(prefix: str, subfolder: str, outputs: ModuleType, host: ModuleType) -> None:
    output = Path(host.get_output_directory())
    path, told = outputs.output_path(prefix, (1, 1), ".mp4")
    assert told == subfolder
    assert path.resolve().is_relative_to(output.resolve())
    assert path.parent == output / subfolder


def test_nothing_is_written_over(outputs: ModuleType, host: ModuleType) -> None:
    """The host counts no files for a prefix that ends in a slash."""
    for number in (1, 2, 3):
        path, _ = outputs.output_path("once more/", (1, 1), ".mp4")
        assert path.name == f"once more_{number:05}_.mp4"
        path.touch()
    for number in (4, 5):
        path, _ = outputs.output_path("once more/", (1, 1), ".mp4")
        assert path.name == f"once more_{number:05}_.mp4"
        path.symlink_to(path.with_name("nowhere"))  # a link that leads to nothing is there too


@pytest.mark.parametrize("suffix", ["", "mp4", "./x", "/../x.mp4", ".mp4/x", ".m\0", ".MP4" * 9, ".a.b"])
def test_a_suffix_is_a_suffix(suffix: str, outputs: ModuleType, refusal: Any) -> None:
    with pytest.raises(refusal, match="Expected a kind of file"):
        outputs.output_path("a", (1, 1), suffix)


@pytest.fixture
def link(host: ModuleType, tmp_path: Path) -> Any:
    """Links in the host's folders, which lead out of them; gone afterwards."""
    made = []

    def linked(kind: str, name: str, target: Path) -> Path:
        path = Path(getattr(host, f"get_{kind}_directory")()) / name
        path.symlink_to(target)
        made.append(path)
        return path

    yield linked
    for path in made:
        path.unlink()


def test_links_in_the_output_folder_lead_where_its_owner_said(
    link: Any, outputs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Any
) -> None:
    link("output", "elsewhere", tmp_path)
    with pytest.raises(refusal, match=r"where a link leads out of it.*TEXTOVSR_PATHS"):
        outputs.output_path("elsewhere/sub/x", (1, 1), ".mp4")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("TEXTOVSR_PATHS", str(tmp_path))
    path, _ = outputs.output_path("elsewhere/sub/x", (1, 1), ".mp4")
    assert path.resolve() == tmp_path / "sub" / "x_00001_.mp4"


def test_captions_follow_no_link(link: Any, nodes: dict[str, Any], video: Any, tmp_path: Path) -> None:
    link("output", "phone.vtt", tmp_path / "there.vtt")
    nodes["OVSR_LLaVACaption"].execute(video, captions="a cat")
    assert not (tmp_path / "there.vtt").exists()


def test_captions_of_a_hidden_video_are_not_hidden(outputs: ModuleType, host: ModuleType) -> None:
    inside = Path(host.get_input_directory())
    found = [outputs.captions_path("", inside / name, "x").name for name in (".secret.mp4", "a\nb.mp4", "...mp4")]
    assert found == ["secret.vtt", "a_b.vtt", "captions.vtt"]


LOST = ["../../etc/passwd", "/etc/passwd", "/dev/zero", "/proc/self/environ", "../input/../../x [temp]"]
NO_NAMES = ["a\0b.mp4", "\ud800.mp4", "x" * 300, "x/" * 3000]
NO_FILES = [
    "~/x.mp4", "~root", "file:///etc/passwd", "http://127.0.0.1/x.mp4", "concat:a|b", "pipe:0", "C:\\x.mp4", "[output]",
    "\\\\server\\share\\x", "none.mp4", ".", "subfile,,start,0,end,9,,:/etc/passwd", "data:text/plain,x",
]  # fmt: skip


@pytest.mark.parametrize("name", LOST + NO_NAMES + NO_FILES)
def test_a_video_is_read_inside(name: str, nodes: dict[str, Any]) -> None:
    load = nodes["OVSR_LoadVideo"]
    for said in (load.validate_inputs(name), load.validate_inputs("phone.mp4", name)):
        assert isinstance(said, str)
        assert said.startswith("Expected ")
        assert "root:" not in said
    with pytest.raises(Exception, match=r"^Expected "):
        load.execute(name)
    if name != ".":  # the input folder itself
        assert "Expected " in nodes["OVSR_ListVideos"].validate_inputs(name)
    assert ("got " + repr(name)[:20]) in load.validate_inputs(name) or name in NO_FILES


@pytest.mark.parametrize("kind", ["input", "output", "temp"])
def test_links_out_are_not_told(
    kind: str, link: Any, nodes: dict[str, Any], phone_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither whether there is something behind them nor where they lead."""
    shutil.copyfile(phone_clip, tmp_path / "there.mp4")
    link(kind, "away", tmp_path)
    link(kind, "there.mp4", tmp_path / "there.mp4")
    link(kind, "gone.mp4", tmp_path / "none")
    link(kind, "round", Path("round"))
    load, said = nodes["OVSR_LoadVideo"].validate_inputs, set()
    for name in ("there.mp4", "gone.mp4", "away/there.mp4", "away/gone.mp4", "away"):
        asked = f"{name} [{kind}]"
        said.add(load(asked).replace(asked, "NAME"))
    assert len(said) == 1
    assert said.pop().startswith("Expected a video in ")
    assert "Expected" in load(f"round [{kind}]")
    monkeypatch.setenv("TEXTOVSR_PATHS", str(tmp_path))
    assert load(f"away/there.mp4 [{kind}]") is True


def test_a_pipe_is_not_waited_for(nodes: dict[str, Any], host: ModuleType) -> None:
    pipe = Path(host.get_input_directory()) / "pipe.mp4"
    os.mkfifo(pipe)
    try:
        assert "found none" in nodes["OVSR_LoadVideo"].validate_inputs("pipe.mp4")
        assert pipe not in importlib.import_module(nodes["OVSR_ListVideos"].__module__).videos_in(pipe.parent, True)
    finally:
        pipe.unlink()


@pytest.mark.parametrize(
    "name", ["../../x.safetensors", "../x.safetensors", "/etc/passwd", "~/x", "..", ".", "C:\\x.pt"]
)
def test_weights_are_found_inside(name: str, pack: ModuleType, tmp_path: Path) -> None:
    """By what reads them, whoever asks: nodes, the command line, workflows."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "x.safetensors").touch()
    finders = {
        "models.catalog": "find_weights",
        "core.quality.clip_files": "find_clip",
        "core.motion.networks": "find_flow_net",
        "core.text.vlm_folders": "find_vlm",
    }
    for module, finder in finders.items():
        find = getattr(importlib.import_module(f"{pack.__name__}.{module}"), finder)
        with pytest.raises(Exception, match=r"^Expected .*(found|got)"):
            find(name, [tmp_path / "weights"])


def test_a_server_refuses_before_it_works(server: ComfyServer, client: ComfyClient) -> None:
    """Over the real API, as anybody may send it."""
    load = {"class_type": "OVSR_LoadVideo", "inputs": {"file": "phone.mp4"}}
    before = set(server.base.rglob("*"))
    for prefix in ("../x", "/elsewhere/x", ".textovsr/x", "a\0b", "a/../../x", "C:\\x"):
        save = {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["1", 0], "filename_prefix": prefix}}
        with pytest.raises(PromptRejectedError, match="Expected a filename_prefix"):
            client.submit({"1": load, "2": save})
    for name in ("/etc/passwd", "../../x.mp4", "a\0b", "x" * 5000):
        wrong = {"class_type": "OVSR_LoadVideo", "inputs": {"file": name, "path": name}}
        save = {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["1", 0], "filename_prefix": "x"}}
        with pytest.raises(PromptRejectedError, match="Expected"):
            client.submit({"1": wrong, "2": save})
    save = {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["1", 0], "filename_prefix": "x"}}
    for changed in ({"container": "/../../../x.mp4"}, {"video": "/etc/passwd"}):
        result = client.run({"1": load, "2": {**save, "inputs": {**save["inputs"], **changed}}})
        assert result.status == "error"
        assert "Expected" in str(result.error)
    assert {path for path in server.base.rglob("*") if path.suffix in (".mp4", ".mkv")} <= before
