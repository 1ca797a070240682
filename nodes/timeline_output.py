"""What the canvas needs to plot the values of every frame: where the table and the video lie, what the columns are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.job import Source
from ..core.quality.clip_iqa import pair_name
from ..core.quality.clip_scores import FrameScores
from ..core.quality.measures import Measure
from ..core.quality.report import QualityReport
from ..core.quality.rows import heading
from .host.frames_route import shown_file
from .host.passing import for_canvas, passing_path

Told = list[dict[str, Any]]
"""What a node's ``ui`` output holds as ``timeline``: js/canvas/timeline.js reads it."""

_SCORE_DIGITS = 3


def report_timeline(found: QualityReport, table: Path) -> Told:
    """Of a report whose values are saved in ``table``; nothing if that is in none of the host's folders."""
    worst = [
        {"start": moment.start, "duration": moment.duration, "seconds": moment.seconds}
        for moment in found.summary.worst
    ]
    return _told(table, found.source, found.measures, {"chosen": found.worst_by.name, "worst": worst})


def scores_timeline(found: FrameScores, source: Source | None) -> Told:
    """Of CLIP-IQA, whose table goes into the host's temporary folder; ``source`` is None for images."""
    table = passing_path(".csv")
    table.write_text(found.csv, "utf-8", newline="")
    several = len(found.pairs) > 1
    titles = {"score": "all pairs" if several else "CLIP-IQA"}
    titles |= {heading(name): name for name in map(pair_name, found.pairs) if several}
    measures = [Measure(name, titles[name], higher_is_better=True, digits=_SCORE_DIGITS) for name in titles]
    return _told(table, source, measures, {"chosen": "score", "worst": None})


def _told(table: Path, source: Source | None, measures: Sequence[Measure], more: dict[str, Any]) -> Told:
    file = shown_file(for_canvas(table))
    if file is None:
        return []
    video = None if source is None else shown_file(for_canvas(source.path))
    if video is not None and source is not None:
        video = {**video, "deinterlace": source.deinterlace}
    columns = [
        {"name": each.name, "heading": each.heading, "digits": each.digits, "higher": each.higher_is_better}
        for each in measures
    ]
    return [{"table": file, "video": video, "measures": columns, **more}]
