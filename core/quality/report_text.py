"""A report in words and plain data: a table, the list of the worst moments, and what programs read."""

import math
from typing import Any

from .measures import Measure
from .plot_ticks import clock
from .report import QualityReport
from .summary import Statistics


def shown(measure: Measure, value: float) -> str:
    """A value as people read it."""
    return f"{value:.{measure.digits}f}" if math.isfinite(value) else "-"


def worst_of(measure: Measure, statistics: Statistics) -> float:
    """The value of the worst frame."""
    return statistics.least if measure.higher_is_better else statistics.most


def best_of(measure: Measure, statistics: Statistics) -> float:
    """The value of the best frame."""
    return statistics.most if measure.higher_is_better else statistics.least


def write_table(report: QualityReport) -> str:
    """Mean, deviation, worst and best frame of every measure, as Markdown."""
    lines = ["| measure | mean | deviation | worst frame | best frame | better is |", "|---|---|---|---|---|---|"]
    for measure in report.measures:
        found = report.summary.statistics[measure.name]
        values = (found.mean, found.deviation, worst_of(measure, found), best_of(measure, found))
        better = "higher" if measure.higher_is_better else "lower"
        lines.append(f"| {measure.heading} | {' | '.join(shown(measure, v) for v in values)} | {better} |")
    return "\n".join(lines)


def write_worst(report: QualityReport) -> str:
    """The worst moments, the worst first, one a line: ``start`` and ``duration`` are those that LoadVideo takes."""
    measure = report.worst_by
    return "\n".join(
        f"start={worst.start:.3f} duration={worst.duration:.3f}  "
        f"{clock(worst.start, 3)}  {measure.title} {shown(measure, worst.value)}"
        for worst in report.summary.worst
    )


def write_report(report: QualityReport) -> str:
    """The whole report as Markdown."""
    parts = [headline(report), write_table(report)]
    if report.summary.worst:
        parts.append(f"Worst moments by {report.worst_by.title}:\n\n{_indented(write_worst(report))}")
    if report.notes:
        parts.append("\n".join(f"- {note}" for note in report.notes))
    return "\n\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def headline(report: QualityReport) -> str:
    """What was measured, in a sentence."""
    summary = report.summary
    measured = "" if summary.rows == report.frames else f", {summary.rows} of them measured"
    shots = "1 shot" if summary.shots == 1 else f"{summary.shots} shots"
    against = ""
    if report.reference is not None:
        against = f" against {report.reference.path.name}"
        if len(set(report.sizes)) > 1:
            against += f" ({'x'.join(map(str, report.sizes[1]))}, to which it was resized)"
    size = "x".join(map(str, report.sizes[0]))
    return f"{report.source.path.name}, {size}{against}: {report.frames} frames{measured}, {shots}."


def as_values(report: QualityReport) -> dict[str, Any]:
    """The report for programs, ready for JSON; what could not be measured is None."""

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    measures = {}
    for measure in report.measures:
        found = report.summary.statistics[measure.name]
        measures[measure.name] = {
            "mean": number(found.mean),
            "deviation": number(found.deviation),
            "min": number(found.least),
            "max": number(found.most),
            "frames": found.frames,
            "higher_is_better": measure.higher_is_better,
        }
    worst = [
        {"start": round(w.start, 6), "duration": round(w.duration, 6), "value": w.value, "worst_frame": w.seconds}
        for w in report.summary.worst
    ]
    return {
        "video": str(report.source.path),
        "reference": None if report.reference is None else str(report.reference.path),
        "frames": report.frames,
        "shots": report.summary.shots,
        "measures": measures,
        "worst_by": report.worst_by.name,
        "worst": worst,
        "notes": list(report.notes),
    }
