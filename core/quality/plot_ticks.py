"""Round numbers for axes, and how they are written."""

import math

Labels = list[tuple[float, str]]
"""Places on an axis and what is written there."""

_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000)
_STEPS = (1, 2, 5, 10)
_ROUNDING = 1e-9


def time_labels(span: tuple[float, float], count: int) -> Labels:
    """At most ``count`` + 1 places between two times in seconds, written as ``1:02:30``, ``2:30`` or ``0:02.5``."""
    step = next((step for step in _SECONDS if (span[1] - span[0]) / step <= count), _SECONDS[-1])
    while (span[1] - span[0]) / step > count:
        step *= 2
    return [(time, clock(time, 1 if step < 1 else 0)) for time in _multiples(span, step)]


def number_labels(span: tuple[float, float], count: int) -> Labels:
    """At most ``count`` + 1 places between two numbers, multiples of 1, 2 or 5 times a power of ten."""
    rough = (span[1] - span[0]) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times for times in _STEPS if times * power >= rough * (1 - _ROUNDING)) * power
    digits = max(0, -math.floor(math.log10(step) + _ROUNDING))
    return [(number, f"{number:.{digits}f}") for number in _multiples(span, step)]


def whole_labels(span: tuple[float, float], count: int) -> Labels:
    """The same, of whole numbers only."""
    labels = number_labels(span, count)
    return [(number, f"{number:.0f}") for number, _ in labels if abs(number - round(number)) < _ROUNDING]


def clock(seconds: float, digits: int = 0) -> str:
    """A time as ``1:02:30``, or ``2:30`` below an hour, with so many digits of a second; never negative."""
    ticks = round(max(seconds, 0.0) * 10**digits)
    whole, part = divmod(ticks, 10**digits)
    minutes, rest = divmod(whole, 60)
    text = f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
    return f"{text}.{part:0{digits}}" if digits else text


def _multiples(span: tuple[float, float], step: float) -> list[float]:
    first, last = math.ceil(span[0] / step - _ROUNDING), math.floor(span[1] / step + _ROUNDING)
    return [number * step for number in range(first, last + 1)]
