"""Writing the page of a report, whole or not at all."""

from pathlib import Path

from ..durable import writing_explained
from ..unfinished import unfinished
from .report import QualityReport
from .report_html import write_html
from .report_pictures import read_thumbnails


def save_page(report: QualityReport, path: Path) -> Path:
    """Write the report as one HTML page; the worst moments' frames are read from the files again.

    Raises:
        MissingDependencyError: Pillow is not installed.
        VideoError: the files are gone.
    """
    page = write_html(report, list(read_thumbnails(report)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished(path) as partial, writing_explained(path):
        partial.write_text(page, "utf-8")
        return partial.replace(path)
