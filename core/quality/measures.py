"""The catalogue of what can be measured of a video: names, units, which way is better, what is needed."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import SettingError


@dataclass(frozen=True)
class Measure:
    """Something that is measured once a frame.

    Attributes:
        name: in files, on the command line.
        title: for people.
        unit: of the values; empty if they have none.
        higher_is_better: which way.
        reference: a reference is needed.
        digits: after the point.
        package: a Python package that is not among the requirements, and gives it.
    """

    name: str
    title: str
    unit: str = ""
    higher_is_better: bool = False
    reference: bool = False
    digits: int = 3
    package: str = ""

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("psnr_y", "PSNR-Y", "dB", higher_is_better=True, reference=True, digits=2),
        Measure("ssim", "SSIM", higher_is_better=True, reference=True, digits=4),
        Measure("vmaf", "VMAF", higher_is_better=True, reference=True, digits=1),
        Measure("vmaf_neg", "VMAF-NEG", higher_is_better=True, reference=True, digits=1),
        Measure("warping", "warping error", "x1000"),
        Measure("warping_relative", "relative warping error", "times the reference's", reference=True, digits=2),
        Measure("flicker", "flicker", "levels", digits=2),
        Measure("niqe", "NIQE", digits=2),
        Measure("brisque", "BRISQUE", digits=1),
        Measure("clip_iqa", "CLIP-IQA", higher_is_better=True),
        Measure("sharpness", "sharpness", "levels", higher_is_better=True, digits=2),
        Measure("blockiness", "blockiness"),
    )
}
"""What we measure ourselves."""

DEEP = {
    measure.name: measure
    for measure in (
        Measure("musiq", "MUSIQ", higher_is_better=True, digits=1, package="pyiqa"),
        Measure("topiq_nr", "TOPIQ", higher_is_better=True, package="pyiqa"),
        Measure("topiq_fr", "TOPIQ with reference", higher_is_better=True, reference=True, package="pyiqa"),
        Measure("nrqm", "NRQM", higher_is_better=True, digits=2, package="pyiqa"),
        Measure("clipiqa+", "CLIPIQA+", higher_is_better=True, package="pyiqa"),
        Measure("lpips", "LPIPS", reference=True, package="pyiqa"),
        Measure("dists", "DISTS", reference=True, package="pyiqa"),
        Measure("dover", "DOVER", higher_is_better=True, package="pyiqa"),
    )
}
"""What another package measures with networks of its own, if it is installed and has the weights."""

_WORST_BY = ("vmaf_neg", "vmaf", "ssim", "psnr_y", "niqe", "brisque", "blockiness", "clip_iqa")
"""The first of these that is measured decides what the worst moments are, unless the user does."""


def find_measure(name: str) -> Measure:
    """A measure by its name.

    Raises:
        SettingError: nothing has that name.
    """
    found = MEASURES.get(name) or DEEP.get(name)
    if found is None:
        raise SettingError(f"Expected one of {', '.join([*MEASURES, *DEEP])}, got {name!r}; correct the name.")
    return found


def choose_measures(names: Sequence[str], reference: bool, lenient: bool = False) -> tuple[Measure, ...]:
    """Measures by their names; none are all of our own that can be measured.

    Args:
        names: of them.
        reference: whether there is one.
        lenient: what needs a reference is left out where there is none.

    Raises:
        SettingError: an unknown name, or one that needs a reference where there is none.
    """
    if not names:
        return tuple(measure for measure in MEASURES.values() if reference or not measure.reference)
    chosen = tuple(find_measure(name) for name in dict.fromkeys(names))
    if lenient and not reference:
        chosen = tuple(measure for measure in chosen if not measure.reference)
    if not chosen:
        raise SettingError("Expected a reference for these measures, got none; give one, or choose others.")
    lacking = [measure.name for measure in chosen if measure.reference and not reference]
    if lacking:
        raise SettingError(f"Expected a reference for {', '.join(lacking)}, got none; give one, or leave them out.")
    return chosen


def worst_measure(measured: Sequence[Measure], name: str = "") -> Measure:
    """The measure that decides what the worst moments are.

    Raises:
        SettingError: the named one is not measured.
    """
    by_name = {measure.name: measure for measure in measured}
    if name and name not in by_name:
        raise SettingError(f"Expected the worst moments by one of {', '.join(by_name)}, got {name!r}; choose one.")
    first = next((known for known in _WORST_BY if known in by_name), None)
    return by_name[name or first or measured[0].name]
