"""Rendered lines of text, as subtitles, titles and signs have them."""

import numpy as np
import torch
from torch import Tensor

_TEXT = """
aria opera silence the moon over water Nacht Lied König für größer amore è morta già città l'ombra très où forêt Hall 24
1987 no. 7 act II scene 3 exit open EXIT STOP Taxi Café 35 km/h 50 % price: 12.90 & Sons Ltd. www.example.org
"""
_WORDS = _TEXT.split()
_SIZES = (14.0, 80.0)


def lettering(side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Random lines in a random style.

    Args:
        side: of the square canvas in pixels.
        rng: what decides everything.

    Returns:
        The colours (3,side,side) and where they cover what is below (1,side,side), both uint8.
    """
    from PIL import Image, ImageDraw, ImageFont

    size = float(np.exp(rng.uniform(*np.log(_SIZES))))
    font = ImageFont.load_default(size)
    bright = rng.random() < 0.6
    ink, paper = _color(rng, bright), _color(rng, not bright)
    outline = round(size / 14) if rng.random() < 0.4 else 0
    color, cover = Image.new("RGB", (side, side), ink), Image.new("L", (side, side))
    if rng.random() < 0.3:  # a box behind them
        color.paste(paper, (0, 0, side, side))
        cover.paste(255, (0, 0, side, side))
    pen, mask = ImageDraw.Draw(color), ImageDraw.Draw(cover)
    for row in range(int(side / (1.4 * size))):
        place = (float(rng.uniform(-size, side / 3)), row * 1.4 * size)
        words = _line(rng)
        pen.text(place, words, fill=ink, font=font, stroke_width=outline, stroke_fill=paper)
        mask.text(place, words, fill=255, font=font, stroke_width=outline, stroke_fill=255)
    pixels = torch.from_numpy(np.asarray(color).copy()).permute(2, 0, 1)  # (H,W,C) -> (C,H,W)
    return pixels, torch.from_numpy(np.asarray(cover).copy())[None]


def _line(rng: np.random.Generator) -> str:
    words = " ".join(str(word) for word in rng.choice(_WORDS, size=int(rng.integers(1, 7))))
    return words.upper() if rng.random() < 0.2 else words


def _color(rng: np.random.Generator, bright: bool) -> tuple[int, int, int]:
    low, high = (160, 256) if bright else (0, 96)
    if rng.random() < 0.5:
        grey = int(rng.integers(low, high))
        return grey, grey, grey
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue
