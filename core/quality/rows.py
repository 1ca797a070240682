"""What was measured, one row a frame, in a CSV file: written as it comes, read as a stream, of any length."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_FIXED = ("frame", "seconds", "shot", "reference_seconds")


@dataclass(frozen=True)
class Row:
    """One measured frame.

    Attributes:
        frame: its number, from 0.
        seconds: from the beginning of the video's file.
        shot: the number of its shot, from 0.
        reference_seconds: from the beginning of the reference's file; NaN without one.
        values: by the measures' names; one that could not be measured here is missing.
    """

    frame: int
    seconds: float
    shot: int
    reference_seconds: float
    values: Mapping[str, float]


class RowWriter:
    """Writes rows into a new file; use it as a context manager."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._names = names
        self._file = path.open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow([*_FIXED, *names])

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, row: Row) -> None:
        """Append a row; what is missing or no number is an empty cell."""
        fixed = [row.frame, f"{row.seconds:.6f}", row.shot, _cell(row.reference_seconds, ".6f")]
        self._csv.writerow([*fixed, *(_cell(row.values.get(name, math.nan), ".6g") for name in self._names)])


def heading(text: str) -> str:
    """A column's name as spreadsheets take it for text: one that begins like a formula gets an apostrophe."""
    return f"'{text}" if text[:1] in _FORMULA else text


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file that ``RowWriter`` wrote, one at a time."""
    with path.open(encoding="utf-8", newline="") as file:
        for cells in csv.DictReader(file):
            frame, seconds, shot, reference = (cells.pop(name) for name in _FIXED)
            values = {name: float(cell) for name, cell in cells.items() if cell}
            yield Row(int(frame), float(seconds), int(shot), float(reference or "nan"), values)


def add_columns(rows: Iterable[Row], names: Sequence[str], columns: Iterable[Sequence[float]]) -> Iterator[Row]:
    """Rows with further values, which come row by row."""
    for row, further in zip(rows, columns, strict=True):
        values = {**row.values, **dict(zip(names, further, strict=True))}
        yield Row(row.frame, row.seconds, row.shot, row.reference_seconds, values)


def _cell(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else ""
