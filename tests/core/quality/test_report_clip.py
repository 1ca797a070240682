"""CLIP-IQA among the measures of a report: who gives its network, and what is said without one."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import DamagedWeightsError, InputError, WeightsNotFoundError
from textovsr.core.job import Source
from textovsr.core.quality import clip_files
from textovsr.core.quality.clip_iqa import ClipIqa, load_found_clip_iqa
from textovsr.core.quality.clip_scores import score_source
from textovsr.core.quality.measures import MEASURES
from textovsr.core.quality.meters import LoadClip, Moment, Pictures, Size, make_meters
from textovsr.core.quality.report import Compared, QualityReport, ReportConfig, make_report
from textovsr.core.quality.rows import read_rows
from textovsr.tests.helpers.clip import small_clip, wavy_pictures
from textovsr.tests.helpers.spoilt import FRAMES, SIZE, write

CPU = torch.device("cpu")
CLIP = MEASURES["clip_iqa"]


class Counted:
    """Gives a small CLIP, and remembers for which frames."""

    def __init__(self) -> None:
        self.asked: list[Size] = []

    def __call__(self, size: Size) -> ClipIqa:
        self.asked.append(size)
        return ClipIqa(small_clip())


def found_in(folder: Path) -> LoadClip:
    return lambda size: load_found_clip_iqa(CPU, folders=[folder])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small CLIP, on a machine where no other program has one."""
    monkeypatch.setattr(clip_files, "caches", list)
    (tmp_path / "clip_iqa").mkdir()
    save_file(small_clip(), tmp_path / "clip_iqa" / "rn50.safetensors")
    return tmp_path / "clip_iqa"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(write(tmp_path_factory.mktemp("networks") / "video.mkv", spoilt=True))


def report(video: Source, clip: LoadClip, rows: Path, *metrics: str) -> QualityReport:
    config = ReportConfig(metrics=metrics, window=0.1, device="cpu")
    return make_report(Compared(video), config, rows, clip=clip)


def test_clip_iqa_in_a_report_is_the_score_of_every_frame(video: Source, folder: Path, tmp_path: Path) -> None:
    found = report(video, found_in(folder), tmp_path / "rows.csv", "clip_iqa")
    assert found.measures == (CLIP,)
    values = [row.values["clip_iqa"] for row in read_rows(tmp_path / "rows.csv")]
    expected = score_source(video, ClipIqa(small_clip()))
    assert values == pytest.approx(expected.scores, abs=1e-4)
    assert len(set(values)) == FRAMES
    assert found.summary.statistics["clip_iqa"].mean == pytest.approx(expected.mean, abs=1e-4)


def test_the_network_is_asked_for_once_and_only_if_needed(video: Source, tmp_path: Path) -> None:
    clip = Counted()
    report(video, clip, tmp_path / "rows.csv", "sharpness", "warping")
    assert clip.asked == []
    report(video, clip, tmp_path / "rows.csv", "clip_iqa", "sharpness")
    assert clip.asked == [SIZE]


def test_without_weights_it_is_a_note_or_an_error_when_named(video: Source, folder: Path, tmp_path: Path) -> None:
    (folder / "rn50.safetensors").unlink()
    clip = found_in(folder)
    found = make_meters([CLIP, MEASURES["sharpness"]], [SIZE], clip, CPU, asked=False)
    assert found.measures == (MEASURES["sharpness"],)
    (note,) = found.notes
    assert note.startswith("CLIP-IQA was not measured: its weights are not on this machine; ask for clip_iqa")
    assert str(tmp_path) not in note
    with pytest.raises(WeightsNotFoundError, match=r"CLIP RN50 .* into one of .*clip_iqa"):
        report(video, clip, tmp_path / "rows.csv", "clip_iqa")
    with pytest.raises(WeightsNotFoundError, match="a folder that TEXTOVSR_WEIGHTS names"):
        report(video, lambda size: load_found_clip_iqa(CPU), tmp_path / "rows.csv", "clip_iqa")
    assert not (tmp_path / "rows.csv").exists()


def test_damaged_weights_are_a_note_too(folder: Path) -> None:
    file = folder / "rn50.safetensors"
    file.write_bytes(file.read_bytes()[:5000])
    clip = found_in(folder)
    found = make_meters([CLIP, MEASURES["sharpness"]], [SIZE], clip, CPU, asked=False)
    assert "CLIP-IQA was not measured: Expected" in found.notes[0]
    with pytest.raises(DamagedWeightsError):
        make_meters([CLIP], [SIZE], clip, CPU, asked=True)


@pytest.mark.parametrize("size", [(31, 64), (64, 31)])
def test_frames_too_small_for_it_ask_for_no_weights(size: Size) -> None:
    clip = Counted()
    with pytest.raises(InputError, match="sides of 32 pixels or more, got"):
        make_meters([CLIP], [size], clip, CPU, asked=True)
    assert clip.asked == []
    (values,) = (make_meters([CLIP], [(32, 32)], clip, CPU, asked=True).measure(Moment(Pictures(x, None)))
                 for x in wavy_pictures(1, 32, 32))  # fmt: skip
    assert 0 < values["clip_iqa"] < 1


def test_it_judges_the_video_and_not_its_reference() -> None:
    image, reference = wavy_pictures(2, 40, 48)

    def measured(*pictures: Tensor | None) -> float:
        meters = make_meters([CLIP], [(48, 40)] * 2, Counted(), CPU, asked=True)
        return meters.measure(Moment(Pictures(*pictures)))["clip_iqa"]  # type: ignore[arg-type]

    assert measured(image, reference) == measured(image, None) != measured(reference, None)
