"""VMAF by the ffmpeg of imageio-ffmpeg, which is in the development environment."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import InputError, MissingDependencyError
from textovsr.core.quality import vmaf
from textovsr.core.quality.vmaf import FFMPEG, VmafMeter, find_ffmpeg, measure_vmaf


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What was found out about programs is forgotten."""
    vmaf._has_vmaf.cache_clear()
    yield
    vmaf._has_vmaf.cache_clear()


def moving(frames: int = 6) -> Tensor:
    """(T,3,65,97): gratings that move, of odd sides."""
    y, x = torch.meshgrid(torch.arange(65.0), torch.arange(97.0), indexing="ij")
    grey = [0.5 + 0.3 * torch.sin((x + 2 * t) / 5) * torch.cos(y / 7) for t in range(frames)]
    return torch.stack(grey)[:, None].expand(-1, 3, -1, -1)


def noisy(clip: Tensor, sigma: float) -> Tensor:
    return (clip + sigma * torch.randn(clip.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def test_noise_costs_points_and_neg_forgives_less_sharpening() -> None:
    ffmpeg, clip = find_ffmpeg(), moving()
    same, little, much = (measure_vmaf(noisy(clip, sigma), clip, ffmpeg) for sigma in (0.0, 0.03, 0.15))
    assert min(same) > 95
    assert same[0] > little[0] > much[0]
    contrast = (clip - 0.5) * 1.3 + 0.5
    plain, neg = measure_vmaf(contrast, clip, ffmpeg)
    assert plain > neg


def test_scores_come_frame_by_frame_and_every_nth() -> None:
    clip = moving(7)
    spoilt = clip.clone()
    spoilt[3] = 0.2
    with VmafMeter(find_ffmpeg(), ("vmaf",)) as meter:
        for pair in zip(spoilt, clip, strict=True):
            meter.add(*pair)
        scores = [score for (score,) in meter.finish()]
    assert len(scores) == 7
    assert scores.index(min(scores)) == 3
    with VmafMeter(find_ffmpeg(), ("vmaf_neg",), every=3) as meter:
        for pair in zip(clip, clip, strict=True):
            meter.add(*pair)
        assert len(list(meter.finish())) == 3


def test_leaving_early_leaves_nothing_behind() -> None:
    with VmafMeter(find_ffmpeg()) as meter:
        meter.add(moving(1)[0], moving(1)[0])
        folder, process = meter._place, meter._process
        assert folder.is_dir()
    assert not folder.exists()
    assert process is not None
    assert process.poll() is not None


def test_nothing_measured_is_nothing() -> None:
    with VmafMeter(find_ffmpeg()) as meter:
        assert list(meter.finish()) == []


def test_a_failing_program_is_named(tmp_path: Path) -> None:
    program = tmp_path / "broken"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no such filter')\n", "utf-8")
    program.chmod(0o755)
    clip = moving(1).expand(200, -1, -1, -1)
    with pytest.raises(InputError, match="broken to measure VMAF, got: no such filter"):
        measure_vmaf(clip, clip, program)


def test_small_frames_are_refused() -> None:
    with VmafMeter(find_ffmpeg()) as meter, pytest.raises(InputError, match="32 pixels or more for VMAF, got 30x40"):
        meter.add(torch.zeros(3, 41, 31), torch.zeros(3, 41, 31))


def test_without_any_program_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(FFMPEG, str(tmp_path / "none"))
    with pytest.raises(MissingDependencyError, match="pip install imageio-ffmpeg"):
        find_ffmpeg()


def test_the_named_program_is_taken_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\necho ' .. libvmaf VV->V measure'\n", "utf-8")
    mine.chmod(0o755)
    monkeypatch.setenv(FFMPEG, str(mine))
    assert find_ffmpeg() == mine
    mine.write_text("#!/bin/sh\necho nothing\n", "utf-8")
    vmaf._has_vmaf.cache_clear()
    assert find_ffmpeg() != mine
