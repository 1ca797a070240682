"""Writing the page of a report, whole or not at all."""

from pathlib import Path

from ..durable import disk_full_explained, partial_beside
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
    partial = partial_beside(path)
    try:
        with disk_full_explained(path):
            partial.write_text(page, "utf-8")
        return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
