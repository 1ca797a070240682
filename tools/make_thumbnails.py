"""Make the thumbnails of most example workflows: ``make_thumbnails.py RESULTS workflows/``.

Real clips, the shipped weights, texts and values that were really found; ``RESULTS`` keeps the restored videos, so that
only missing ones are made. About ten minutes on a processor.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from textovsr.core.degrade.describe import describe_source
from textovsr.core.degrade.estimator import load_estimator
from textovsr.core.job import Source
from textovsr.core.quality.measures import MEASURES
from textovsr.core.quality.plots import Series, Timeline, draw_timeline
from textovsr.core.quality.report import Compared, QualityReport, ReportConfig, make_report
from textovsr.core.quality.rows import read_rows
from textovsr.core.text.caption import settle_captions
from textovsr.tools.clip_thumbnails import batch_folder, compare_lite_base_bicubic, old_film
from textovsr.tools.diffusion_thumbnails import flow_picture, steps_picture, windows_picture
from textovsr.tools.thumbnail_parts import (
    BACKGROUND,
    BAR,
    BIKES,
    CRISP,
    GAP,
    INK,
    PHONE,
    SIZE,
    WALKERS,
    Shot,
    guided,
    read_frame,
    restored,
    side_by_side,
)


def describe_and_upscale(folder: Path) -> Image.Image:
    """What the estimator says of a clip, and the clip restored with that."""
    found = describe_source(BIKES, load_estimator()).overall.text
    result = restored(folder, "described", BIKES, *CRISP, "--degradation", found)
    part = (0.5, 0.5, 1.0)
    before, after = Shot(BIKES.path, 0.4, part, "Original, enlarged"), Shot(result, 0.4, part, "TextOVSR")
    return guided(before, after, "Degradation Text", found.replace(", ", ",\n").splitlines())


def caption_and_upscale(folder: Path) -> Image.Image:
    """Captions as WebVTT, written by hand, and the clip restored with them."""
    lines = ("A white dog lies on", "a tiled floor, its chin", "between its paws.")
    captions = settle_captions(" ".join(lines), PHONE)
    timing = next(line for line in captions.splitlines() if "-->" in line)
    moment = Source(PHONE.path, 0.5, 0.2)
    result = restored(folder, "captioned", moment, *CRISP, "--caption", " ".join(lines))
    part = (0.46, 0.45, 0.7)
    before, after = Shot(PHONE.path, 0.55, part, "Original, enlarged"), Shot(result, 0.05, part, "TextOVSR")
    begin, _, end = (time.removeprefix("00:") for time in timing.split())  # no clip here has an hour
    return guided(before, after, "captions, one per shot", [f"{begin} --> {end}", *lines])


def measured(folder: Path, video: Path, metric: str) -> tuple[QualityReport, Series]:
    """The report of a video, and its values frame by frame."""
    table = folder / f"{video.stem}_{metric}.csv"
    config = ReportConfig((metric,), worst=1, window=0.3)
    report = make_report(Compared(Source(video)), config, table)
    rows = [(row.seconds, row.values[metric]) for row in read_rows(table) if metric in row.values]
    times, values = zip(*rows, strict=True)
    return report, Series(video.stem, times, values)


def plotted(timeline: Timeline) -> Image.Image:
    """A timeline as our nodes draw it."""
    pixels = draw_timeline(timeline)[0]  # (H,W,3)
    return Image.fromarray((pixels * 255).round().byte().numpy())


def score_before_and_after(folder: Path) -> Image.Image:
    """Half a frame as it was, half of it upscaled, and the values of every frame of both."""
    result = restored(folder, "phone", PHONE)
    width, metric = 168, "niqe"
    lines = [
        Series(name, line.times, line.values)
        for name, video in (("TextOVSR", result), ("Original", PHONE.path))
        for _, line in (measured(folder, video, metric),)
    ]
    title = f"{MEASURES[metric].title} of every frame, lower is better"
    plot = plotted(Timeline(tuple(lines), title, size=(SIZE[0] - 2 * (width + GAP), SIZE[1])))
    left, right = (0.308, 0.45, 0.7), (0.608, 0.45, 0.7)  # two halves of one picture
    shots = (Shot(PHONE.path, 0.55, left, "Original"), Shot(result, 0.55, right, "TextOVSR"))
    return side_by_side(*(shot.draw((width, SIZE[1])) for shot in shots), plot)


def redo_worst_moment(folder: Path) -> Image.Image:
    """Where a clip is worst, and that moment restored."""
    report, line = measured(folder, PHONE.path, "blockiness")
    (worst,) = report.summary.worst
    moment = Source(PHONE.path, worst.start, worst.duration)
    result = restored(folder, "redone", moment, *CRISP)
    width = 196
    title = "Blockiness, lower is better"
    marks = ((worst.start, worst.start + worst.duration),)
    size = (SIZE[0] - 2 * (width + GAP), SIZE[1])
    plot = plotted(Timeline((Series("every frame", line.times, line.values),), title, marks=marks, size=size))
    part = (0.46, 0.45, 0.66)
    before = Shot(PHONE.path, worst.seconds, part, f"Worst, at {worst.seconds:.2f} s")
    after = Shot(result, worst.seconds - worst.start, part, "Done again")
    return side_by_side(plot, *(shot.draw((width, SIZE[1])) for shot in (before, after)))


def sampled(title: str) -> Image.Image:
    """A frame, the windows that are sampled, and the motion that they follow."""
    width, second = 250, 0.4
    shot = Shot(WALKERS, second, (0.5, 0.5, 0.88), "Video")
    windows = windows_picture(title, (SIZE[0] - 2 * (width + GAP), SIZE[1]), (BACKGROUND, INK))
    flow = Image.new("RGB", (width, SIZE[1]), BACKGROUND)
    flow.paste(flow_picture(WALKERS, second, (width, SIZE[1] - BAR)))
    ImageDraw.Draw(flow).text((8, SIZE[1] - BAR + 3), "Its motion", INK, ImageFont.load_default(16))
    return side_by_side(shot.draw((width, SIZE[1])), windows, flow)


def upscale_with_x4_upscaler(folder: Path) -> Image.Image:
    """No result: the model does not ship."""
    return sampled("Stable Diffusion x4 upscaler")


def refine_with_tile_controlnet(folder: Path) -> Image.Image:
    """No result: the model does not ship."""
    return sampled("TextOVSR, then SD1.5 with tile")


def sample_in_windows_by_hand(folder: Path) -> Image.Image:
    """No result: the model does not ship."""
    return sampled("Any model, node by node")


def denoised(title: str, video: Path = PHONE.path, second: float = 0.55, steps: int = 50) -> Image.Image:
    """A frame, and what a sampler starts from and comes to."""
    width = 272
    shot = Shot(video, second, (0.46, 0.45, 0.7), "Video")
    size = (SIZE[0] - width - GAP, SIZE[1])
    noisy = steps_picture(title, read_frame(video, second), size, (BACKGROUND, INK), steps)
    return side_by_side(shot.draw((width, SIZE[1])), noisy)


def restore_with_diffusion(folder: Path) -> Image.Image:
    """No result: the networks do not ship."""
    return denoised("MGLD-VSR")


def restore_with_diffvsr(folder: Path) -> Image.Image:
    """No result: the networks do not ship."""
    return denoised("DiffVSR", second=0.2)


def restore_with_star(folder: Path) -> Image.Image:
    """No result: the networks do not ship."""
    return denoised("STAR", WALKERS, 0.4, steps=14)


def restore_with_sdatc(folder: Path) -> Image.Image:
    """No result: the networks are to be trained."""
    return denoised("SDATC, with weights that you train", second=0.9)


def take_back_compression(folder: Path) -> Image.Image:
    """A heavily compressed clip, and what the shipped DCM makes of it."""
    part, width = (0.5, 0.5, 0.5), 398
    result = restored(folder, "decompressed", Source(WALKERS, deinterlace="off"), "--weights", "sdatc-dcm")
    shots = (Shot(WALKERS, 0.4, part, "Original, enlarged"), Shot(result, 0.4, part, "sdatc-dcm"))
    return side_by_side(*(shot.draw((width, SIZE[1])) for shot in shots))


THUMBNAILS: tuple[Callable[[Path], Image.Image], ...] = (
    describe_and_upscale,
    caption_and_upscale,
    score_before_and_after,
    redo_worst_moment,
    upscale_with_x4_upscaler,
    refine_with_tile_controlnet,
    sample_in_windows_by_hand,
    restore_with_diffusion,
    restore_with_diffvsr,
    restore_with_star,
    restore_with_sdatc,
    take_back_compression,
    old_film,
    compare_lite_base_bicubic,
    batch_folder,
)
"""Each is named like its workflow."""


def main() -> None:
    """Read the command line and make the thumbnails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="where restored videos are kept")
    parser.add_argument("folder", type=Path, help="where the thumbnails go")
    parser.add_argument("--only", choices=[make.__name__ for make in THUMBNAILS], help="one of them")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    for make in THUMBNAILS:
        if options.only in (None, make.__name__):
            make(options.results).save(options.folder / f"{make.__name__}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
