"""``textovsr weights``: what the diffusion systems need, downloads with consent, conversion."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from textovsr import cli
from textovsr.cli.weights import WEIGHTS_FOLDERS
from textovsr.core import weights as core_weights
from textovsr.core import weights_download
from textovsr.core.download import RemoteFile
from textovsr.models.published import DIFFVSR, MGLD, SYSTEMS
from textovsr.tests.helpers.published import write_needed

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command ``weights`` in an empty folder: its code, what it said, what it said on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(WEIGHTS_FOLDERS, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    capsys.readouterr()

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main(["weights", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_systems_are_listed_after_the_shipped_weights(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, said, _ = run()
    assert said.index("textovsr-lite") < said.index("mgld            MGLD-VSR: 0 of 4 networks are there")
    write_needed(DIFFVSR.needs[0], tmp_path / "mine" / "some.safetensors")
    monkeypatch.setenv(WEIGHTS_FOLDERS, str(tmp_path / "mine"))
    assert "diffvsr         DiffVSR: 1 of 3 networks are there" in run()[1]


def test_a_system_is_told_about_in_words_and_as_json(run: Run) -> None:
    assert "missing; mgldvsr_unet.ckpt, about 6.7 GB" in run("--system", "mgld")[1]
    told = json.loads(run("--system", "diffvsr", "--json")[1])
    assert [network["file"] for network in told["networks"]] == [needed.file for needed in DIFFVSR.needs]
    with pytest.raises(SystemExit):
        run("--system", "none")


def test_the_weights_of_a_system_are_chosen(run: Run) -> None:
    said = run()[1]
    assert "star            STAR (heavy): 0 of 3 networks are there\nstar            STAR (light): 0 of 3" in said
    assert "sdatc           SDATC: 0 of 6 networks are there; needs trained weights: textovsr train sdatc" in said
    assert "missing; heavy_deg.pt, about 8.2 GB" in run("--system", "star")[1]
    assert json.loads(run("--system", "star", "--variant", "light", "--json")[1])["variant"] == "light"
    code, _, told = run("get", "star", "--variant", "light", "--to", "there")
    assert code == 1
    assert "3 files, 9.7 GB, would be downloaded to there." in told
    assert "light_deg.pt" in told
    code, _, told = run("--system", "mgld", "--variant", "light")
    assert code == 1
    assert "Expected a variant of MGLD-VSR, none, got 'light'" in told


def test_nothing_is_downloaded_without_consent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_download, "download", lambda *_: pytest.fail("downloaded"))
    code, _, said = run("get", "mgld", "--to", "there")
    assert code == 1
    assert "2 files, 7.5 GB, would be downloaded to there." in said
    assert "S-Lab License 1.0: non-commercial use only" in said
    assert said.rstrip().endswith("add --agree to download.")
    code, _, said = run("get", "mgld", "--agree")
    assert code == 1
    assert f"add --to FOLDER, or set {WEIGHTS_FOLDERS}" in said
    told = json.loads(run("get", "mgld", "--to", "there", "--json")[1])
    assert "add --agree" in told["error"]


def test_with_consent_what_is_missing_is_downloaded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is a function here; a real one is in tests/core/test_weights_download.py."""
    small = replace(DIFFVSR, needs=tuple(replace(one, file=f"{one.name}.safetensors") for one in DIFFVSR.needs[:2]))
    monkeypatch.setattr(core_weights, "SYSTEMS", (small, *(one for one in SYSTEMS if one is not DIFFVSR)))
    monkeypatch.setattr(weights_download, "ask", lambda place: RemoteFile(place.url, "", 0))

    def download(file: RemoteFile, target: Path, report: Any) -> None:
        write_needed(next(one for one in small.needs if one.file == target.name), target)
        report(150_000_000, 300_000_000)

    monkeypatch.setattr(weights_download, "download", download)
    monkeypatch.setenv(WEIGHTS_FOLDERS, str(tmp_path / "mine"))
    code, said, told = run("get", "diffvsr", "--agree")
    assert code == 0
    assert "all 2 networks are there" in said
    assert told.splitlines()[0] == "downloading denoiser.safetensors: 150.0 MB of 300.0 MB"
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["denoiser.safetensors", "vae.safetensors"]
    monkeypatch.setattr(weights_download, "download", lambda *_: pytest.fail("downloaded again"))
    assert run("get", "diffvsr", "--json")[0] == 0


def test_what_ships_stands_in_unless_all_is_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MGLD-VSR without RAFT: nothing to download, and one file with ``--all``, after consent."""
    monkeypatch.setenv(WEIGHTS_FOLDERS, str(tmp_path / "mine"))
    for needed in MGLD.needs[:-1]:
        write_needed(needed, tmp_path / "mine" / f"{needed.name}.safetensors")
    fetched = []

    def download(file: RemoteFile, target: Path, report: Any) -> None:
        fetched.append(target.name)
        write_needed(MGLD.needs[-1], target.with_suffix(".safetensors"))

    monkeypatch.setattr(weights_download, "ask", lambda place: RemoteFile(place.url, "", 0))
    monkeypatch.setattr(weights_download, "download", download)
    assert "mgld            MGLD-VSR: 3 of 4 networks are there; SPyNet, which ships, is taken for the flow" in run()[1]
    for arguments in ((), ("--agree",)):
        code, said, _ = run("get", "mgld", *arguments)
        assert code == 0
        assert "missing; SPyNet, which ships, is taken; raft-things.pth" in said
    code, _, said = run("get", "mgld", "--all")
    assert code == 1
    assert "1 file, 21.1 MB, would be downloaded" in said
    assert fetched == []
    code, said, _ = run("get", "mgld", "--all", "--agree")
    assert code == 0
    assert fetched == ["raft-things.pth"]
    assert "all 4 networks are there" in said


def test_a_checkpoint_is_converted(run: Run) -> None:
    state = {"decoder.weight": torch.ones(3, 4), "loss.logvar": torch.zeros(1), "loss.b": torch.zeros(1)}
    torch.save({"state_dict": state, "epoch": 1}, "in.ckpt")
    code, said, _ = run("convert", "in.ckpt", "out.safetensors", "--half")
    assert code == 0
    assert said.startswith("out.safetensors: 1 tensors, ")
    assert said.endswith("read back and equal; left out: epoch, loss.* (2)\n")
    assert load_file("out.safetensors")["decoder.weight"].dtype == torch.float16
    code, _, said = run("convert", "in.ckpt", "out.safetensors")
    assert code == 1
    assert "Expected no file at out.safetensors" in said
    told = json.loads(run("convert", "in.ckpt", "again.safetensors", "--json")[1])
    assert (told["tensors"], told["dropped"]) == (1, {"epoch": 1, "loss.*": 2})


def test_help_says_what_can_be_done(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((), ("get",), ("convert",)):
        with pytest.raises(SystemExit) as ended:
            cli.main(["weights", *arguments, "--help"])
        assert ended.value.code == 0
        assert "usage: textovsr weights" in capsys.readouterr().out
