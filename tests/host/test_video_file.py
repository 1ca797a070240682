"""The VIDEO that our nodes pass along, as ComfyUI's own nodes and its newer hosts use it."""

import importlib
import io
from collections.abc import Callable
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import pytest

from textovsr.core.video.probe import probe
from textovsr.tests.helpers.films import Film, Sound, make_film, packets_of

Open = Callable[..., Any]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_film(tmp_path / "a.mp4", Film(seconds=2.0, sounds=(Sound(seconds=2.0),)))


@pytest.fixture
def opened(pack: ModuleType, film: Path) -> Open:
    """Our VIDEO over the film, or over a part of it."""
    job = importlib.import_module(f"{pack.__name__}.core.job")
    nodes = importlib.import_module(f"{pack.__name__}.nodes.video_file")

    def opened(start: float = 0.0, duration: float | None = None, path: Path = film) -> Any:
        return nodes.VideoFile(job.Source(path, start, duration))

    return opened


def frames(path: Path | str) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize(
    ("start", "duration", "window"),
    [
        (0.5, 0.0, (0.5, 0.0)),
        (0.5, 0.5, (0.5, 0.5)),
        (-0.5, 0.0, (1.5, 0.0)),
        (-99.0, 0.25, (0.0, 0.25)),
        (1.5, 99.0, (1.5, 99.0)),
    ],
)
def test_a_trim(opened: Open, start: float, duration: float, window: tuple[float, float]) -> None:
    trimmed = opened().as_trimmed(start, duration)
    assert trimmed.get_active_trim_window() == pytest.approx(window)
    assert trimmed.get_duration() == pytest.approx(min(duration or 9.0, 2.0 - window[0]))


def test_a_part_of_a_part_stays_within_it(opened: Open) -> None:
    part = opened(0.4, 1.0)
    assert part.as_trimmed(0.2, 5.0).get_active_trim_window() == pytest.approx((0.6, 0.8))
    assert part.as_trimmed(0.2).get_active_trim_window() == pytest.approx((0.6, 0.8))
    assert part.as_trimmed(-0.25, 0.1).get_active_trim_window() == pytest.approx((1.15, 0.1))
    assert part.as_trimmed(0.2, 0.5).as_trimmed(0.1, 0.2).get_active_trim_window() == pytest.approx((0.7, 0.2))
    beyond = opened(1.5, 5.0).as_trimmed(0.1, 3.0)
    assert beyond.get_duration() == pytest.approx(0.4)


def test_too_short_is_none(opened: Open) -> None:
    assert opened().as_trimmed(1.0, 1.5, strict_duration=True) is None
    assert opened().as_trimmed(1.0, 1.0, strict_duration=True) is not None
    assert opened(0.1, 0.3).as_trimmed(0.1, 0.2, strict_duration=True) is not None
    assert opened().as_trimmed(2.0) is None
    assert opened(0.0, 1.0).as_trimmed(1.0) is None


def test_a_part_keeps_how_it_is_read(pack: ModuleType, film: Path) -> None:
    job = importlib.import_module(f"{pack.__name__}.core.job")
    nodes = importlib.import_module(f"{pack.__name__}.nodes.video_file")
    part = nodes.VideoFile(job.Source(film, deinterlace="off", strict=True)).as_trimmed(0.5)
    assert (part.source.deinterlace, part.source.strict) == ("off", True)


def test_a_host_without_trim_windows_gets_the_part_alone(opened: Open, film: Path) -> None:
    part = opened(0.4, 0.4)
    path = part.get_stream_source()
    assert path != str(film)
    assert frames(path) == 10
    assert part.get_stream_source() == path
    assert opened().get_stream_source() == str(film)


def test_a_newer_host_gets_the_whole_file(opened: Open, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from comfy_api.latest import Input

    monkeypatch.setattr(Input.Video, "get_active_trim_window", lambda _: (0.0, 0.0), raising=False)
    assert opened(0.4, 0.4).get_stream_source() == str(film)


def test_components_of_a_part(opened: Open) -> None:
    components = opened(0.4, 0.4).get_components()
    assert components.images.shape == (10, 16, 32, 3)
    assert components.frame_rate == Fraction(25)
    assert components.audio["waveform"].shape == (1, 1, 19_200)


class Depth(Enum):
    TEN = 10


class Name(str, Enum):
    SLOW = "slow"
    AUTO = "auto"


@pytest.mark.parametrize(
    ("wishes", "is_copied"),
    [
        ({}, True),
        ({"codec": "h264"}, True),
        ({"crf": None, "bit_depth": None, "preset": None, "color_space": None}, True),
        ({"codec": Name.AUTO, "preset": Name.AUTO, "color_space": "auto", "bit_depth": 8, "unheard_of": 1}, True),
        ({"crf": 16}, False),
        ({"crf": 0}, False),
        ({"preset": Name.SLOW}, False),
        ({"bit_depth": Depth.TEN}, False),
        ({"color_space": "bt709"}, False),
        ({"codec": "hevc"}, False),
    ],
)
def test_wishes_of_newer_hosts(
    opened: Open, film: Path, tmp_path: Path, wishes: dict[str, Any], is_copied: bool
) -> None:
    output = tmp_path / "b.mp4"
    opened().save_to(str(output), metadata={"prompt": {"a": 1}}, **wishes)
    assert (packets_of(output, 0) == packets_of(film, 0)) is is_copied
    info = probe(output)
    assert info.frames == 50
    assert info.metadata["prompt"] == '{"a": 1}'
    assert info.bit_depth == (10 if "bit_depth" in wishes and wishes["bit_depth"] is Depth.TEN else 8)
    assert info.codec == ("hevc" if wishes.get("codec") == "hevc" else "h264")
    assert [data for _, data in packets_of(output, 1)] == [data for _, data in packets_of(film, 1)]


def test_no_loss_means_none(opened: Open, film: Path, tmp_path: Path) -> None:
    opened().save_to(str(tmp_path / "b.mp4"), crf=0)
    assert b"qp=0" in (tmp_path / "b.mp4").read_bytes() or b"crf=0.0" in (tmp_path / "b.mp4").read_bytes()


def test_a_codec_that_we_do_not_write_becomes_one_that_we_do(opened: Open, tmp_path: Path) -> None:
    old = make_film(tmp_path / "old.avi", Film(codec="mpeg4", options={}, sounds=(Sound("mp2"),)))
    opened(path=old).save_to(str(tmp_path / "b.mp4"), crf=20)
    assert probe(tmp_path / "b.mp4").codec == "h264"


def test_a_buffer_gets_the_file(opened: Open, film: Path, tmp_path: Path, host: ModuleType) -> None:
    buffer, folder = io.BytesIO(), Path(host.get_temp_directory()) / "textovsr"
    before = set(folder.glob("*"))
    opened().save_to(buffer, format="mp4")
    (tmp_path / "b.mp4").write_bytes(buffer.getvalue())
    assert packets_of(tmp_path / "b.mp4", 0) == packets_of(film, 0)
    assert set(folder.glob("*")) == before


def test_the_hosts_own_video_reads_what_we_save(opened: Open, tmp_path: Path) -> None:
    from comfy_api.latest import InputImpl

    opened(0.4, 0.4).save_to(str(tmp_path / "b.mp4"))
    assert InputImpl.VideoFromFile(str(tmp_path / "b.mp4")).get_components().images.shape[0] == 10
