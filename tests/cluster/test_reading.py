"""The frames of a piece, read from the middle of a video, are those of a single pass."""

from itertools import islice
from pathlib import Path

import pytest
import torch

from textovsr.core.cluster.reading import _nearby, read_marked, settled
from textovsr.core.cluster.survey import Marks, alike, fingerprint
from textovsr.core.errors import VideoError
from textovsr.core.job import Job, Source
from textovsr.core.restoration import ShotFrame
from textovsr.core.video.reader import VideoReader

JOB = Job(caption="WEBVTT\n\n00:00.000 --> 00:00.500\na cat\n\n00:00.500 --> 10:00.000\na dog\n")


def surveyed(source: Source) -> tuple[list[ShotFrame], Marks]:
    with VideoReader(source.path, source.start, source.duration, deinterlace=source.deinterlace) as reader:
        frames = [ShotFrame(frame.image, "", 0, frame.pts) for frame in reader]
    marks = Marks(0)
    for frame in frames:
        marks.add(frame)
    return frames, marks


@pytest.mark.parametrize("start", [0.0, 0.31])
@pytest.mark.parametrize("clip", ["phone_clip", "webcam_clip"])
def test_any_part_is_read_as_in_one_pass(request: pytest.FixtureRequest, clip: str, start: float) -> None:
    source = Source(request.getfixturevalue(clip), start)
    frames, marks = surveyed(source)
    for begin in range(0, len(frames), 5):
        part = list(read_marked(source, JOB, marks.part(begin, begin + 7)))
        assert len(part) == min(7, len(frames) - begin)
        assert all(torch.equal(a.image, b.image) for a, b in zip(part, frames[begin:], strict=False))
        assert [frame.pts for frame in part] == [frame.pts for frame in frames[begin:]][:7]


def test_frames_that_cannot_be_sought_are_decoded_from_the_beginning(
    phone_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if seeking gave a wrong frame after three good ones."""
    source = Source(phone_clip)
    frames, marks = surveyed(source)

    def broken(*arguments: object) -> object:
        yield from islice(_nearby(*arguments), 3)  # type: ignore[arg-type]
        yield frames[0]

    monkeypatch.setattr("textovsr.core.cluster.reading._nearby", broken)
    part = list(read_marked(source, JOB, marks.part(20, 30)))
    assert all(torch.equal(a.image, b.image) for a, b in zip(part, frames[20:30], strict=True))
    assert {frame.prompt for frame in read_marked(source, JOB, marks.part(0, 30))} == {"a cat", "a dog"}


def test_frames_that_are_decoded_differently_are_refused(phone_clip: Path) -> None:
    source = Source(phone_clip)
    _, marks = surveyed(source)
    marks.prints[32 * 12] ^= 64
    with pytest.raises(VideoError, match=r"Expected frame 12 of .*phone\.mp4 to be the same on every machine"):
        list(read_marked(source, JOB, marks.part(10, 20)))


def test_a_fingerprint_knows_small_damage_from_the_last_bit() -> None:
    image = torch.rand(3, 90, 160, generator=torch.Generator().manual_seed(0))
    damaged = image.clone()
    damaged[:, 16:32, 16:32] = 0.5
    assert alike(fingerprint(image), fingerprint(image * (1 + 1e-6)))
    assert not alike(fingerprint(image), fingerprint(damaged))


def test_what_is_known_of_forgotten_frames_is_gone() -> None:
    marks = Marks(0)
    for number in range(10):
        marks.add(ShotFrame(torch.full((3, 8, 8), number / 10), "", number // 5, 40 * number))
    whole = marks.part(6, 9)
    marks.forget(5)
    assert marks.part(6, 9) == whole
    assert (len(marks.times), marks.begin, list(whole.times)) == (5, 5, [240, 280, 320])


def test_workers_need_not_look_for_fields_again(phone_clip: Path) -> None:
    with VideoReader(phone_clip) as reader:
        assert settled(Source(phone_clip, strict=True), reader) == Source(phone_clip, deinterlace="off")
        assert settled(Source(phone_clip, deinterlace="on"), reader).deinterlace == "on"
