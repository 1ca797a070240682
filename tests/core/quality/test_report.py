"""The report's core: what is chosen, measured, summarized, drawn and written."""

import base64
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.errors import CancelledError, InputError, MissingDependencyError, SettingError, WeightsError
from textovsr.core.job import Source
from textovsr.core.quality import meters as meters_module
from textovsr.core.quality.clip_iqa import ClipIqa
from textovsr.core.quality.fidelity import psnr_y
from textovsr.core.quality.measures import DEEP, MEASURES, choose_measures, worst_measure
from textovsr.core.quality.meters import Moment, Pictures, make_meters
from textovsr.core.quality.pyiqa_measures import load_judge
from textovsr.core.quality.report import Compared, QualityReport, ReportConfig, make_report
from textovsr.core.quality.report_files import save_page
from textovsr.core.quality.report_html import _MEANINGS
from textovsr.core.quality.report_pictures import draw_profile, draw_timelines, read_thumbnails
from textovsr.core.quality.rows import read_rows
from textovsr.tests.helpers.spoilt import BAD, FRAMES, SIZE, write

CPU = torch.device("cpu")
SHARPNESS, PSNR = MEASURES["sharpness"], MEASURES["psnr_y"]


def no_clip(size: tuple[int, int]) -> ClipIqa:
    raise AssertionError("nothing here is measured with CLIP")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A video with one bad frame, and the true one."""
    folder = tmp_path_factory.mktemp("report")
    names = {"<b>spoilt.mkv": True, "true.mkv": False}
    return Compared(*(Source(write(folder / name, spoilt=bad)) for name, bad in names.items()))


@pytest.fixture(scope="module")
def report(videos: Compared) -> QualityReport:
    """Against the reference, two quick measures."""
    config = ReportConfig(metrics=("psnr_y", "sharpness"), window=0.1, worst=2, worst_by="psnr_y", device="cpu")
    return make_report(videos, config)


# What is chosen


def test_without_names_everything_of_ours_is_measured() -> None:
    assert [m.name for m in choose_measures((), reference=True)] == list(MEASURES)
    assert not [m for m in choose_measures((), reference=False) if m.reference]


def test_lenient_leaves_out_what_needs_a_reference() -> None:
    assert choose_measures(("ssim", "niqe"), reference=False, lenient=True) == (MEASURES["niqe"],)
    with pytest.raises(SettingError, match="a reference for these measures"):
        choose_measures(("ssim",), reference=False, lenient=True)


def test_the_surest_measure_decides_unless_the_user_does() -> None:
    assert worst_measure((SHARPNESS, PSNR)) == PSNR
    assert worst_measure((SHARPNESS, PSNR), "sharpness") == SHARPNESS
    assert worst_measure((SHARPNESS,)) == SHARPNESS


def test_every_measure_is_explained() -> None:
    assert set(_MEANINGS) == set(MEASURES)


# What is measured


def moment(frames: int, reference: bool = True) -> Moment:
    """The last of some frames of noise on a texture, and what came before."""
    generator = torch.Generator().manual_seed(0)
    true = F.interpolate(torch.rand(1, 3, 6, 8, generator=generator), size=(48, 64), mode="bicubic")[0] * 0.6 + 0.2
    noisy = [(true + 0.05 * torch.randn(true.shape, generator=generator)).clamp(0, 1) for _ in range(frames)]
    pictures = [Pictures(image, true if reference else None) for image in noisy]
    return Moment(pictures[-1], tuple(pictures[:-1][-2:]))


def test_motion_is_measured_from_the_second_frame_on_and_flicker_from_the_third() -> None:
    wanted = [MEASURES[name] for name in ("warping", "warping_relative", "flicker")]
    meters = make_meters(wanted, [(64, 48), (64, 48)], no_clip, CPU, asked=True)
    names = [set(meters.measure(moment(frames))) for frames in (1, 2, 3)]
    assert names == [set(), {"warping", "warping_relative"}, {"warping", "warping_relative", "flicker"}]
    found = meters.measure(moment(3))
    # The noise of two frames adds up to 5; a flow that is not exactly zero averages that of four pixels of one.
    assert 3 < found["warping"] < 5.5
    assert found["warping_relative"] > 20  # the reference stands still
    alone = make_meters([MEASURES["warping"]], [(64, 48)], no_clip, CPU, asked=True).measure(moment(2, reference=False))
    assert set(alone) == {"warping"}


def test_where_little_can_be_followed_there_is_no_warping_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number would be that of a few lucky pixels."""
    first, second = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(meters_module, "find_flow", lambda after, before: torch.full((1, 2, 48, 64), 3.0))
    meters = make_meters([MEASURES["warping"]], [(64, 48)], no_clip, CPU, asked=True)
    assert meters.measure(Moment(Pictures(second, None), (Pictures(first, None),))) == {}


def test_equal_frames_have_a_finite_psnr() -> None:
    x = torch.rand(3, 32, 32)
    assert make_meters([PSNR], [(32, 32)] * 2, no_clip, CPU, asked=True).measure(Moment(Pictures(x, x))) == {
        "psnr_y": 100.0
    }


def test_a_smaller_video_is_brought_to_its_reference() -> None:
    pictures = Pictures(torch.rand(3, 16, 24), torch.rand(3, 32, 48))
    assert pictures.fitted.shape == (3, 32, 48)
    assert Pictures(pictures.image, None).fitted is pictures.image


def test_what_cannot_be_taken_is_an_error_or_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise MissingDependencyError("no ffmpeg")

    monkeypatch.setattr(meters_module, "find_ffmpeg", missing)
    wanted = [MEASURES["vmaf"], MEASURES["niqe"], PSNR]
    meters = make_meters(wanted, [(190, 190), (190, 190)], no_clip, CPU, asked=False)
    assert meters.measures == (PSNR,)
    assert len(meters.notes) == 2
    with pytest.raises(MissingDependencyError, match="no ffmpeg"):
        make_meters(wanted, [(190, 190), (190, 190)], no_clip, CPU, asked=True)
    with pytest.raises(InputError, match="something to measure"):
        make_meters([MEASURES["niqe"]], [(190, 190)], no_clip, CPU, asked=False)


class StandIn(ModuleType):
    """The interface of pyiqa that we use, and nothing of what it does: every metric is a mean difference."""

    def list_models(self) -> list[str]:
        return ["musiq", "lpips"]

    def create_metric(self, name: str, device: torch.device) -> object:
        if name == "musiq":
            raise RuntimeError("no weights here")
        return lambda x, y: (x - y).abs().mean()


def test_pyiqa_is_asked_as_its_interface_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", StandIn("pyiqa"))
    judge = load_judge(DEEP["lpips"], CPU)
    assert judge(torch.zeros(3, 8, 8), torch.full((3, 8, 8), 2.0)) == 1  # in [0,1]
    with pytest.raises(MissingDependencyError, match="a pyiqa that has DOVER"):
        load_judge(DEEP["dover"], CPU)
    with pytest.raises(WeightsError, match="MUSIQ, got: no weights here"):
        load_judge(DEEP["musiq"], CPU)


# The whole


def test_the_values_of_frames_are_those_of_the_measures(videos: Compared, tmp_path: Path) -> None:
    config = ReportConfig(metrics=("psnr_y",), device="cpu")
    seen: list[int] = []

    def follow(done: int, total: int | None, newest: Tensor) -> None:
        assert newest.shape == (3, SIZE[1], SIZE[0])
        seen.append(done)

    make_report(videos, config, tmp_path / "rows.csv", follow)
    found = [row.values["psnr_y"] for row in read_rows(tmp_path / "rows.csv")]
    assert seen == list(range(1, FRAMES + 1))
    assert found[0] == 100
    assert psnr_y(torch.full((3, *SIZE[::-1]), 120 / 255), torch.rand(3, *SIZE[::-1])) < found[BAD] < 25


def test_cancelling_leaves_no_rows(videos: Compared, tmp_path: Path) -> None:
    def cancel(done: int, total: int | None, newest: Tensor) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        make_report(videos, ReportConfig(metrics=("vmaf", "psnr_y"), device="cpu"), tmp_path / "rows.csv", cancel)
    assert list(tmp_path.iterdir()) == []


def test_pictures(report: QualityReport) -> None:
    assert draw_timelines(report).shape[1:] == (1200, 3)
    profile = draw_profile(report)
    assert profile.shape[1] == 2 * SIZE[0] + 6
    assert profile.shape[0] >= 240
    thumbnails = list(read_thumbnails(report))
    assert thumbnails[0].worst.seconds == pytest.approx(BAD / 10)
    left, right = thumbnails[0].image[:, :480].float(), thumbnails[0].image[:, -480:].float()
    assert left.std() < 2  # the frame that is all grey
    assert right.std() > 10


class Checker(HTMLParser):
    """Which tags are open, what is asked from elsewhere, and the pictures inside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "b") or self.open[-1] == "figcaption"
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br", "path", "circle", "polygon", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in ("path", "circle", "polygon", "polyline", "rect")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(report: QualityReport, tmp_path: Path) -> None:
    """Every tag is closed, file names are escaped, pictures are inside."""
    page = save_page(report, tmp_path / "new" / "page.html")
    checker = Checker()
    checker.feed(page.read_text("utf-8"))
    assert checker.open == []
    assert len(checker.sources) == 3
    for source in checker.sources:
        kind, data = re.fullmatch(r"data:image/(\w+);base64,(.+)", source).groups()  # type: ignore[union-attr]
        start = {"png": b"\x89PNG", "jpeg": b"\xff\xd8"}[kind]
        assert base64.b64decode(data).startswith(start)
    assert str(tmp_path) not in page.read_text("utf-8")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


def test_a_single_frame_can_be_reported(videos: Compared, tmp_path: Path) -> None:
    one = Compared(replace(videos.source, duration=0.1))
    report = make_report(one, ReportConfig(metrics=("sharpness", "flicker"), device="cpu"))
    assert report.frames == 1
    assert draw_timelines(report).shape[2] == 3
    assert "flicker" in save_page(report, tmp_path / "page.html").read_text("utf-8")
