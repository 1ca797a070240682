"""VMAF and VMAF-NEG by an FFmpeg program with libvmaf (Li et al., 2016; Li et al., 2020 for NEG), frame by frame.

The program is the one named by the environment variable ``TEXTOVSR_FFMPEG``, that of the Python package imageio-ffmpeg
(part of the extra ``quality``), or the one on the PATH; the first that has libvmaf.
"""

import csv
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from ..config import DECODER_THREADS
from ..errors import InputError, MissingDependencyError

MODELS = {"vmaf": "vmaf_v0.6.1", "vmaf_neg": "vmaf_v0.6.1neg"}
"""The measure's name -> libvmaf's name of its model."""

FFMPEG = "TEXTOVSR_FFMPEG"
"""Environment variable: the path of an FFmpeg program."""

LEAST_SIDE = 32
"""Pixels; libvmaf looks at pictures that were halved four times."""

_LOG, _ERRORS = "vmaf.csv", "errors.txt"


def find_ffmpeg() -> Path:
    """An FFmpeg program that has libvmaf.

    Raises:
        MissingDependencyError: there is none.
    """
    found = next((path for path in _candidates() if _has_vmaf(path)), None)
    if found is None:
        raise MissingDependencyError(
            "Expected an ffmpeg with libvmaf for VMAF, found none; install one with pip install imageio-ffmpeg, or "
            f"name yours in the environment variable {FFMPEG}."
        )
    return found


def _candidates() -> Iterator[Path]:
    named = os.environ.get(FFMPEG)
    if named:
        yield Path(named)
    with suppress(ImportError, RuntimeError):  # the package is missing, or has no program for this platform
        from imageio_ffmpeg import get_ffmpeg_exe

        yield Path(get_ffmpeg_exe())
    on_path = shutil.which("ffmpeg")
    if on_path:
        yield Path(on_path)


@lru_cache(maxsize=8)
def _has_vmaf(ffmpeg: Path) -> bool:
    try:
        listed = subprocess.run([str(ffmpeg), "-hide_banner", "-filters"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return " libvmaf " in listed.stdout


class VmafMeter:
    """Measures pairs of frames as they come; use it as a context manager. Peak memory: a frame, and FFmpeg's own.

    Args:
        ffmpeg: from ``find_ffmpeg``.
        names: keys of ``MODELS``.
        every: of the pairs that are added, each ``every``-th is measured.

    Raises:
        InputError: from its methods, if FFmpeg cannot do it.
    """

    def __init__(self, ffmpeg: Path, names: Sequence[str] = tuple(MODELS), every: int = 1) -> None:
        self._ffmpeg, self._names, self._every = ffmpeg, tuple(names), every
        self._folder = tempfile.TemporaryDirectory(prefix="textovsr-vmaf-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "VmafMeter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, frame: Tensor, reference: Tensor) -> None:
        """Measure a pair, both (3,H,W) RGB in [0,1] and of one size, as 4:2:0 of 8 bits shows them."""
        height, width = (side // 2 * 2 for side in frame.shape[-2:])
        if min(height, width) < LEAST_SIDE:
            raise InputError(f"Expected sides of {LEAST_SIDE} pixels or more for VMAF, got {width}x{height}.")
        if self._process is None:
            self._process = self._start(width, height)
        assert self._process.stdin is not None
        pair = torch.cat([x[:, :height, :width] for x in (frame, reference)], dim=1)
        pixels = pair.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous()  # (C,2H,W) -> (2H,W,C)
        try:
            self._process.stdin.write(pixels.cpu().numpy().tobytes())
        except OSError as error:
            raise self._failure() from error

    def finish(self) -> Iterator[tuple[float, ...]]:
        """End, and yield for each measured pair the scores of ``names``, 0 (bad) to 100 (as good as the reference)."""
        if self._process is None:
            return
        with suppress(OSError):  # it has failed, as its exit code says
            self._process.communicate()
        if self._process.returncode != 0:
            raise self._failure()
        with (self._place / _LOG).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield tuple(float(row[MODELS[name]]) for name in self._names)

    def close(self) -> None:
        """End the program, whatever it is doing, and remove its files."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            assert self._process.stdin is not None
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
        self._folder.cleanup()

    @property
    def _place(self) -> Path:
        return Path(self._folder.name)

    def _start(self, width: int, height: int) -> "subprocess.Popen[bytes]":
        # Both pictures come as one, the reference below: a second pipe is not to be had on every platform.
        models = "|".join(f"version={MODELS[name]}\\:name={MODELS[name]}" for name in self._names)
        threads = min(os.cpu_count() or 1, DECODER_THREADS)
        graph = (
            f"[0:v]split[x][y];[x]crop={width}:{height}:0:0,format=yuv420p[a];"
            f"[y]crop={width}:{height}:0:{height},format=yuv420p[b];[a][b]libvmaf=model='{models}'"
            f":n_threads={threads}:n_subsample={self._every}:log_fmt=csv:log_path={_LOG}"
        )
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{2 * height}", "-r", "25", "-i", "pipe:0"]
        command = [str(self._ffmpeg), "-hide_banner", "-loglevel", "error", *raw, "-lavfi", graph, "-f", "null", "-"]
        with (self._place / _ERRORS).open("wb") as errors:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, cwd=self._place
            )

    def _failure(self) -> InputError:
        said = (self._place / _ERRORS).read_text("utf-8", "replace").strip().splitlines()
        return InputError(
            f"Expected {self._ffmpeg.name} to measure VMAF, got: {said[0] if said else 'no reason'}; "
            f"leave {' and '.join(self._names)} out, or name another program in {FFMPEG}."
        )


def measure_vmaf(clip: Tensor, reference: Tensor, ffmpeg: Path) -> tuple[float, float]:
    """VMAF and VMAF-NEG of a short clip, the mean over its frames; both (T,3,H,W) in [0,1].

    Raises:
        InputError: FFmpeg cannot do it.
    """
    with VmafMeter(ffmpeg) as meter:
        for frame, true in zip(clip, reference, strict=True):
            meter.add(frame, true)
        scores = list(meter.finish())
    vmaf, neg = (sum(score[i] for score in scores) / len(scores) for i in range(2))
    return vmaf, neg
