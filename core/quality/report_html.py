"""A report as one HTML page that needs nothing else: pictures and drawings inside, no scripts, light and dark."""

import base64
import io
from collections.abc import Sequence
from html import escape

from torch import Tensor

from .measures import DEEP
from .plot_ticks import clock
from .report import QualityReport
from .report_pictures import Thumbnail, draw_profile, pillow
from .report_svg import draw_panel
from .report_text import best_of, headline, shown, worst_of

_STYLE = """
:root { color-scheme: light dark; --ink: #16202e; --faint: #667085; --page: #ffffff; --card: #f5f7fa; --rule: #dfe3ea;
  --line: #1d4ed8; --band: #1d4ed82e; --moment: #f59e0b4d; --rank: #b45309; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --faint: #98a2b3; --page: #12161d; --card: #1b212b;
  --rule: #2e3745; --line: #7aa7ff; --band: #7aa7ff33; --moment: #f59e0b59; --rank: #fbbf24; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 1040px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.4rem 0 .7rem; }
h3 { font-size: .95rem; margin: 0; font-weight: 600; }
p { margin: .3rem 0; } .faint, figcaption small { color: var(--faint); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .4rem .7rem; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--faint); font-weight: 500; } th:first-child, td:first-child { text-align: left; }
.grid-of { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--least), 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--card); border-radius: 8px; overflow: hidden; }
figure img { display: block; width: 100%; height: auto; } figcaption { padding: .55rem .8rem .7rem; }
figcaption b { font-variant-numeric: tabular-nums; } code { font-size: .85em; }
.panel { margin-top: 1.1rem; } .panel header { display: flex; justify-content: space-between; gap: 1rem; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--faint); font-size: 12px; }
.grid { stroke: var(--rule); } .cut { stroke: var(--faint); stroke-dasharray: 2 3; fill: none; }
.line { fill: none; stroke: var(--line); stroke-width: 1.6; stroke-linejoin: round; } .dot { fill: var(--line); }
.band { fill: var(--band); } .moment { fill: var(--moment); } svg .rank { fill: var(--rank); font-weight: 600; }
.profile { width: 100%; image-rendering: auto; border-radius: 8px; display: block; }
dt { font-weight: 600; margin-top: .6rem; } dd { margin: 0; color: var(--faint); }
"""

_MEANINGS = {
    "psnr_y": "Mean squared difference of the luma from the reference's, in decibels; equal frames count as 100.",
    "ssim": "Structural similarity of the luma with the reference's; 1 is equal.",
    "vmaf": "Netflix's measure of what viewers see, 0 to 100. Sharpening and contrast can raise it.",
    "vmaf_neg": "VMAF that does not reward sharpening and contrast.",
    "warping": "How far a frame differs from the one before it, moved along the motion, where both show the same: mean "
    "squared difference, times 1000. The motion is the reference's, or the video's own without one.",
    "warping_relative": "The same, by what the reference itself has: above 1 the video is less steady than the truth.",
    "flicker": "How far the luma jumps away from the frames before and after where nothing moves, in levels of 255.",
    "niqe": "Distance from the statistics of natural pictures.",
    "brisque": "What people would say of it by such statistics, 0 (best) to 100.",
    "clip_iqa": "Whether the frame looks more like 'Good photo.' than like 'Bad photo.' to CLIP, 0 to 1. It likes "
    "crispness, invented or not.",
    "sharpness": "Strength of the finest detail, in levels of 255; noise counts too. Compare it for one scene only.",
    "blockiness": "How much steps at the grid of 8x8 blocks exceed those elsewhere.",
}


def write_html(report: QualityReport, thumbnails: Sequence[Thumbnail]) -> str:
    """The page, with file names but no paths.

    Raises:
        MissingDependencyError: Pillow is not installed.
    """
    name = escape(report.source.path.name)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Quality of {name}</title><style>{_STYLE}</style></head><body>",
        f'<h1>Quality of {name}</h1><p class="faint">{escape(headline(report))}</p>',
        *(f"<p>{escape(note)}</p>" for note in report.notes),
        f'<h2>Measures</h2><div class="scroll">{_table(report)}</div>',
        _worst(report, thumbnails),
        f"<h2>Over time</h2>{_panels(report)}",
        _profile(report),
        _meanings(report),
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _table(report: QualityReport) -> str:
    head = (
        "<tr><th>measure</th><th>mean</th><th>deviation</th><th>worst frame</th><th>best frame</th><th>better</th></tr>"
    )
    rows = []
    for measure in report.measures:
        found = report.summary.statistics[measure.name]
        values = (found.mean, found.deviation, worst_of(measure, found), best_of(measure, found))
        cells = "".join(f"<td>{shown(measure, value)}</td>" for value in values)
        better = "higher" if measure.higher_is_better else "lower"
        rows.append(f'<tr><td>{escape(measure.heading)}</td>{cells}<td class="faint">{better}</td></tr>')
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _worst(report: QualityReport, thumbnails: Sequence[Thumbnail]) -> str:
    if not thumbnails:
        return ""
    figures = []
    for number, thumbnail in enumerate(thumbnails, 1):
        worst = thumbnail.worst
        value = f"{report.worst_by.title} {shown(report.worst_by, worst.value)}"
        figures.append(
            f'<figure><img alt="frame at {clock(worst.seconds, 3)}" src="{_data(thumbnail.image, "JPEG")}">'
            f"<figcaption><b>{number}. {clock(worst.start, 3)}</b> &ensp;{escape(value)}<br>"
            f"<small>start <code>{worst.start:.3f}</code> duration <code>{worst.duration:.3f}</code>, "
            f"worst frame at {clock(worst.seconds, 3)}</small></figcaption></figure>"
        )
    beside = " Left the video, right the reference." if report.reference is not None else ""
    least = 460 if report.reference is not None else 300
    return (
        f"<h2>Worst moments</h2><p class='faint'>By {escape(report.worst_by.title)}.{beside} "
        "Start and duration are what LoadVideo takes.</p>"
        f"<div class='grid-of' style='--least: min({least}px, 100%)'>{''.join(figures)}</div>"
    )


def _panels(report: QualityReport) -> str:
    panels = []
    for measure in report.measures:
        found = report.summary.statistics[measure.name]
        if not found.frames:
            continue
        better = "higher" if measure.higher_is_better else "lower"
        mean = f"<span class='faint'>mean {shown(measure, found.mean)}, {better} is better</span>"
        head = f"<h3>{escape(measure.heading)}</h3>{mean}"
        panels.append(f"<div class='panel'><header>{head}</header>{draw_panel(report, measure)}</div>")
    return "".join(panels)


def _profile(report: QualityReport) -> str:
    every = "Every frame" if report.stride == 1 else f"One frame in {report.stride}"
    beside = "; left the video, right the reference" if report.reference is not None else ""
    return (
        f"<h2>Temporal profile</h2><p class='faint'>{every} gives one line, time runs down{beside}. A steady video has "
        f"smooth stripes; flicker shows as horizontal hairs.</p>"
        f'<img class="profile" alt="temporal profile" src="{_data(draw_profile(report), "PNG")}">'
    )


def _meanings(report: QualityReport) -> str:
    entries = []
    for measure in report.measures:
        other = f"As the package {measure.package} measures it." if measure.name in DEEP else ""
        meaning = _MEANINGS.get(measure.name, other)
        entries.append(f"<dt>{escape(measure.title)}</dt><dd>{escape(meaning)}</dd>")
    return f"<h2>What they mean</h2><dl>{''.join(entries)}</dl>"


def _data(image: Tensor, form: str) -> str:
    """(H,W,3) uint8 as a data URI."""
    data = io.BytesIO()
    settings = {"quality": 88} if form == "JPEG" else {"optimize": True}
    pillow().Image.fromarray(image.numpy()).save(data, form, **settings)
    return f"data:image/{form.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"
