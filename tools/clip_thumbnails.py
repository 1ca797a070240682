"""Thumbnails of workflows over whole clips: an old film, three ways to enlarge, a folder of videos."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from textovsr.core.degrade.describe import describe_source
from textovsr.core.degrade.estimator import load_estimator
from textovsr.core.job import Source
from textovsr.tools.thumbnail_parts import (
    BAR,
    BIKES,
    MARK,
    PHONE,
    SIZE,
    WALKERS,
    WEBCAM,
    Shot,
    guided,
    restored,
    side_by_side,
)


def old_film(folder: Path) -> Image.Image:
    """An old codec's frame, the two texts, and the frame restored by them."""
    words = "A hand in front of a window; behind it a green tree moves in bright daylight."
    found = describe_source(WEBCAM, load_estimator()).overall.text
    moment = Source(WEBCAM.path, 0.4, 0.4, "off")
    texts = ("--degradation", found, "--caption", words)
    result = restored(folder, "old_film", moment, "--weights", "textovsr-base", "--fidelity", "0.5", *texts)
    part = (0.5, 0.5, 0.8)
    before, after = Shot(WEBCAM.path, 0.4, part, "Original, enlarged"), Shot(result, 0.0, part, "TextOVSR")
    lines = [*found.replace(", ", ",\n").splitlines()[:3], "a green tree moves", "in bright daylight"]
    return guided(before, after, "what is wrong, what is seen", lines)


def compare_lite_base_bicubic(folder: Path) -> Image.Image:
    """One part of a frame, enlarged in three ways."""
    moment = Source(PHONE.path, 0.5, 0.2)
    lite = restored(folder, "phone_lite", moment)
    base = restored(folder, "phone_base", moment, "--weights", "textovsr-base")
    width, part = 264, (0.46, 0.45, 0.45)
    shots = (
        Shot(PHONE.path, 0.55, part, "bicubic"),
        Shot(lite, 0.05, part, "textovsr-lite"),
        Shot(base, 0.05, part, "textovsr-base"),
    )
    return side_by_side(*(shot.draw((width, SIZE[1])) for shot in shots))


def batch_folder(folder: Path) -> Image.Image:
    """Three clips, each half as it was and half restored."""
    phone = restored(folder, "phone_lite", Source(PHONE.path, 0.5, 0.2))
    walkers = restored(folder, "decompressed", Source(WALKERS, deinterlace="off"), "--weights", "sdatc-dcm")
    bikes = restored(folder, "bikes_lite", Source(BIKES.path, 0.4, 0.1, "off"))
    pairs = (
        (PHONE.path, phone, (0.55, 0.05), (0.46, 0.45, 0.7), "dog"),
        (BIKES.path, bikes, (0.4, 0.0), (0.5, 0.5, 1.0), "bikes"),
        (WALKERS, walkers, (0.4, 0.4), (0.5, 0.5, 0.7), "walkers"),
    )
    width, drawn = 264, []
    for before, after, seconds, part, name in pairs:
        left = Shot(before, seconds[0], part, f"films/{name}").draw((width, SIZE[1]))
        right = Shot(after, seconds[1], part, "").draw((width, SIZE[1]))
        half = (width // 2, 0, width, SIZE[1] - BAR)
        left.paste(right.crop(half), half)
        ImageDraw.Draw(left).line((width // 2, 0, width // 2, SIZE[1] - BAR), MARK, 2)
        ImageDraw.Draw(left).text(
            (width // 2 + 8, SIZE[1] - BAR + 3), f"batch/{name}", MARK, ImageFont.load_default(16)
        )
        drawn.append(left)
    return side_by_side(*drawn)
