"""What the thumbnails of workflows are put together from: real clips, parts of their frames, texts between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from textovsr import cli
from textovsr.core.job import Source
from textovsr.core.video.reader import VideoReader

ROOT = Path(__file__).resolve().parents[1]
BIKES = Source(ROOT / "tests" / "data" / "validate" / "bikes_lr_degraded.mkv", deinterlace="off")
WALKERS = ROOT / "tests" / "data" / "validate" / "vtest_lr_degraded.mkv"
PHONE = Source(ROOT / "clips" / "phone.mp4", deinterlace="off")
WEBCAM = Source(ROOT / "clips" / "webcam.avi", deinterlace="off")
CRISP = ("--weights", "textovsr-base", "--fidelity", "0.3")
SIZE = (800, 247)
BAR = 26
GAP = 4
BACKGROUND, INK, FAINT, MARK = (20, 20, 22), (238, 238, 240), (150, 152, 158), (255, 196, 61)
Part = tuple[float, float, float]
"""Of a frame: the column and row of its middle and its height, as shares of the frame's sides."""


@dataclass(frozen=True)
class Shot:
    """What a picture shows: one frame, a part of it, and what stands below."""

    video: Path
    seconds: float
    part: Part
    label: str

    def draw(self, size: tuple[int, int]) -> Image.Image:
        """The part, enlarged smoothly, over its label."""
        frame = read_frame(self.video, self.seconds)
        picture = (size[0], size[1] - BAR)
        x, y, half = self.part[0] * frame.width, self.part[1] * frame.height, self.part[2] * frame.height / 2
        wide = half * picture[0] / picture[1]
        drawn = Image.new("RGB", size, BACKGROUND)
        drawn.paste(frame.resize(picture, Image.Resampling.BICUBIC, (x - wide, y - half, x + wide, y + half)))
        ImageDraw.Draw(drawn).text((8, size[1] - BAR + 3), self.label, INK, ImageFont.load_default(16))
        return drawn


def read_frame(video: Path, seconds: float) -> Image.Image:
    """The first frame at a time or after it, in seconds from the video's beginning."""
    with VideoReader(video, seconds, deinterlace="off") as reader:
        frame = next(iter(reader))
    pixels = frame.image.permute(1, 2, 0)  # (C,H,W) -> (H,W,C)
    return Image.fromarray((pixels.float().clamp(0, 1) * 255).round().byte().numpy())


def restored(folder: Path, name: str, source: Source, *options: str) -> Path:
    """The video that ``textovsr upscale`` makes of a source, unless it is there already."""
    result = folder / f"{name}.mkv"
    part = ["--deinterlace", source.deinterlace, "--start", f"{source.start}"]
    part += ["--duration", f"{source.duration}"] if source.duration else []
    if not result.exists() and cli.main(["upscale", str(source.path), str(result), *part, *options]):
        raise SystemExit(f"{name} was not made.")
    return result


def side_by_side(*parts: Image.Image) -> Image.Image:
    """Pictures in a row, GAP apart; together they have to be as wide as a thumbnail."""
    row = Image.new("RGB", SIZE, BACKGROUND)
    left = 0
    for part in parts:
        row.paste(part, (left, 0))
        left += part.width + GAP
    return row


def panel(title: str, lines: Sequence[str], width: int) -> Image.Image:
    """A few lines of text between two pictures, with an arrow to the right one."""
    drawn = Image.new("RGB", (width, SIZE[1]), BACKGROUND)
    draw = ImageDraw.Draw(drawn)
    draw.text((width / 2, 52), title, FAINT, ImageFont.load_default(14), anchor="mm")
    font = ImageFont.load_default(17)
    for number, line in enumerate(lines):
        draw.text((width / 2, 84 + 24 * number), line, INK, font, anchor="mm")
    y = 84 + 24 * len(lines) + 8
    draw.line((width / 2 - 30, y, width / 2 + 24, y), MARK, 3)
    draw.polygon([(width / 2 + 20, y - 7), (width / 2 + 34, y), (width / 2 + 20, y + 7)], MARK)
    return drawn


def guided(before: Shot, after: Shot, title: str, lines: Sequence[str]) -> Image.Image:
    """A frame, the text that guides, and the frame restored by it."""
    width = 272
    picture = (width, SIZE[1])
    words = panel(title, lines, SIZE[0] - 2 * (width + GAP))
    return side_by_side(before.draw(picture), words, after.draw(picture))
