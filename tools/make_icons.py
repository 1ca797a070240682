"""Draw the pack's icon and banner for the Comfy registry: ``make_icons.py docs/images``.

An opera mask, coarse on one side and sharp on the other: what the pack does, and for whom. Nothing but geometry of our
own, so that nobody else's terms come with it.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ICON = 400
BANNER = (1260, 540)
SMOOTH = 4
"""Times larger that everything is drawn before it is reduced."""

MASK = 1000
"""Units of the mask's square, in which the shapes below are given; its right half, mirrored to the left."""

NIGHT, STAGE = (18, 18, 24), (58, 22, 34)
FACE, INK, RED, GOLD, LIP = (247, 241, 230), (24, 20, 22), (196, 30, 44), (255, 196, 61), (150, 16, 30)
FAINT = (176, 172, 180)
CELL = 50
"""Side of a pixel of the coarse half, in units of the mask."""

Points = tuple[tuple[int, int], ...]
FACE_LINE: Points = (
    (500, 40), (660, 62), (790, 160), (846, 330), (842, 520), (800, 690), (710, 840), (600, 935), (500, 965),
)  # fmt: skip
SHAPES: tuple[tuple[tuple[int, int, int], Points], ...] = (
    (RED, ((560, 60), (680, 80), (790, 180), (838, 330), (834, 500), (790, 560), (740, 470), (700, 330), (610, 250))),
    (RED, ((640, 640), (740, 600), (810, 600), (786, 700), (700, 840), (640, 860), (668, 760))),
    (INK, ((536, 372), (600, 318), (700, 292), (772, 236), (806, 196), (796, 320), (764, 400), (690, 420), (600, 408))),
    (INK, ((540, 470), (590, 430), (680, 428), (760, 440), (822, 420), (790, 520), (730, 580), (640, 580), (566, 540))),
    (FACE, ((578, 506), (622, 470), (690, 464), (752, 488), (700, 534), (630, 540))),
    (INK, ((628, 500), (656, 466), (692, 476), (704, 504), (688, 532), (650, 536))),
    (INK, ((512, 600), (548, 640), (586, 690), (566, 724), (530, 704), (512, 716))),
    (INK, ((500, 762), (560, 748), (640, 776), (684, 744), (660, 812), (590, 850), (500, 858))),
    (LIP, ((500, 786), (548, 774), (606, 796), (566, 828), (500, 836))),
)
FLAME: Points = ((500, 86), (528, 150), (546, 226), (532, 300), (500, 350))


def spline(points: Points, steps: int = 16) -> list[tuple[float, float]]:
    """Return a closed Catmull-Rom curve through the points."""
    closed = np.asarray(points, float)
    before, after, beyond = (np.roll(closed, shift, 0) for shift in (1, -1, -2))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = (each[:, None] for each in (before, closed, after, beyond))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return [(float(x), float(y)) for x, y in curve.reshape(-1, 2)]


def mirrored(points: Points) -> Points:
    """Return the outline of both halves."""
    return points + tuple((MASK - x, y) for x, y in reversed(points) if x != MASK // 2)


def mask(side: int) -> Image.Image:
    """Draw the whole mask, sharp, on nothing: RGBA of ``side`` pixels."""
    scale = side * SMOOTH / MASK
    image = Image.new("RGBA", (side * SMOOTH,) * 2)
    draw = ImageDraw.Draw(image)

    def fill(points: Points, color: tuple[int, int, int]) -> None:
        draw.polygon([(x * scale, y * scale) for x, y in spline(points)], color)

    fill(mirrored(FACE_LINE), FACE)
    for color, points in SHAPES:
        fill(points, color)
        fill(tuple((MASK - x, y) for x, y in points), color)
    fill(mirrored(FLAME), GOLD)
    return image.resize((side, side), Image.Resampling.LANCZOS)


def coarse(image: Image.Image, cell: int) -> Image.Image:
    """Return the picture as a poor recording of it: blurred, in large pixels."""
    small = (image.width // cell, image.height // cell)
    soft = image.filter(ImageFilter.GaussianBlur(cell / 6))
    return soft.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)


def divided(side: int, ground: Image.Image) -> Image.Image:
    """Put the mask on a ground of its size: coarse to the left of a golden line, sharp to its right."""
    sharp = ground.copy()
    sharp.alpha_composite(mask(side))
    sharp.paste(coarse(sharp, side * CELL // MASK).crop((0, 0, side // 2, side)), (0, 0))
    width = max(side // 80, 2)
    draw = ImageDraw.Draw(sharp)
    draw.rectangle((side // 2 - width // 2, 0, side // 2 + (width - 1) // 2, side), GOLD)
    return sharp


def stage(width: int, height: int) -> Image.Image:
    """Draw the ground: a dark stage, lit a little from the middle."""
    y, x = np.mgrid[0:height, 0:width]
    far = np.hypot((x - width / 2) / width, (y - height / 2) / height)[..., None] * 2
    light = np.clip(1 - far, 0, 1) ** 1.5
    colors = np.asarray(NIGHT) * (1 - light) + np.asarray(STAGE) * light
    return Image.fromarray(colors.round().astype(np.uint8)).convert("RGBA")


def icon() -> Image.Image:
    """Draw the square icon."""
    ground = stage(ICON, ICON)
    return divided(ICON, ground).convert("RGB")


def banner() -> Image.Image:
    """Draw the 21:9 banner: the mask, the name, what it does."""
    width, height = BANNER
    picture = stage(width, height)
    side = height - 40
    left = 40
    place = (left, 20)
    box = (*place, left + side, 20 + side)
    picture.paste(divided(side, picture.crop(box)), place)
    draw = ImageDraw.Draw(picture)
    start = left + side + 56
    draw.text((start, 130), "TextOVSR", (247, 241, 230), ImageFont.load_default(96))
    draw.text((start, 258), "Video super-resolution", GOLD, ImageFont.load_default(46))
    draw.text((start, 316), "for ComfyUI, guided by text", GOLD, ImageFont.load_default(46))
    lines = ("Old film, opera recordings, phone clips.", "Any length. Weights included.")
    for row, line in enumerate(lines):
        draw.text((start, 396 + row * 40), line, FAINT, ImageFont.load_default(29))
    return picture.convert("RGB")


def main() -> None:
    """Write both pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name, picture in (("icon", icon()), ("banner", banner())):
        picture.quantize(200, dither=Image.Dither.NONE).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
