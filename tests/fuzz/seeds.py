"""What fuzzing begins with: small whole files of every kind, made here, so that none has to be kept.

``python -m textovsr.tests.fuzz.seeds FOLDER`` writes them, a folder for every target.
"""

import io
import json
import pickle
import struct
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import torch
from safetensors.torch import save

from textovsr.core.journal import Journal, Pause, Position
from textovsr.models.published import SYSTEMS
from textovsr.tests.helpers.clips import Clip, write_clip
from textovsr.tests.helpers.t5 import tokenizer_model

from .diffusion import NETWORKS
from .media import SUFFIXES

_SMALL = {"width": 16, "height": 16, "pts": (0, 1, 3, 4)}
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}

CLIPS = {
    "h264.mp4": Clip(**_SMALL, audio="aac", chapters=((0, 1),), rotation=90),
    "fragments.mp4": Clip(**_SMALL, container=_FRAGMENTS),
    "png.mov": Clip(**_SMALL, codec="png", pix_fmt="rgb24", aspect=Fraction(4, 3)),
    "ffv1.mkv": Clip(**_SMALL, codec="ffv1", attachment=True, subtitles="subrip", metadata={"title": "t"}),
    "h264.mkv": Clip(**_SMALL, tags=(9, 9, 16, 1), chapters=((0, 1), (1, 2))),
    "mjpeg.avi": Clip(**_SMALL, codec="mjpeg", pix_fmt="yuvj420p", audio="mp2"),
    "mpeg4.avi": Clip(**_SMALL, codec="mpeg4"),
    "mpeg2.ts": Clip(**_SMALL, codec="mpeg2video"),
    "h264.ts": Clip(**_SMALL),
    "vp8.webm": Clip(**_SMALL, codec="libvpx"),
    "vp9.webm": Clip(**_SMALL, codec="libvpx-vp9"),
    "gif.gif": Clip(**_SMALL, codec="gif", pix_fmt="rgb8"),
    "flv1.flv": Clip(**_SMALL, codec="flv"),
    "raw.nut": Clip(**_SMALL, codec="rawvideo"),
    "h264.h264": Clip(**_SMALL),
}
"""Clips of 16x16 pixels and four frames, of a kilobyte or a few."""

_TEXTS = {
    "webvtt": (
        "WEBVTT\n\nNOTE a\n\n1\n00:00.000 --> 00:04.000 align:start\n<b>a cat</b>\n",
        "WEBVTT\n00:01:04.000 --> 99:00:05.500\nb\n\n00:00.000 --> 00:00.001\n",
    ),
    "prompt": ("a cat, sitting\nblurry, noisy", "猫" * 90 + "\nlow quality", "a" * 200 + "\nb"),
    "options": ("\0steps=4, seed=2", "\1published=yes\ncontext=0", "\2mode=fast", "\4curve=cut,fidelity=0.5"),
}


def seeds() -> Iterator[tuple[str, str, bytes]]:
    """Triples of target, name and content."""
    for name, data in _videos():
        for target in ("probe", "reader", "frames", "audio"):
            suffix = name.rpartition(".")[2]
            choice = SUFFIXES.index(suffix if suffix in SUFFIXES else "bin")
            yield target, name, bytes([choice]) + data
        yield "save", name, bytes([choice]) + data
        yield "save", f"{name}.mkv", bytes([choice | 8]) + data
        yield "layout", name, data
    for target, texts in _TEXTS.items():
        for number, text in enumerate(texts):
            yield target, f"{number}", text.encode()
    yield "journal", "whole", b"\x80" + _journal()
    state = {"a.weight": torch.arange(4.0).reshape(2, 2), "b": torch.ones(2, dtype=torch.bfloat16)}
    whole = save(state, {"licence": "none"})
    yield "header", "whole", whole
    yield "safetensors", "whole", whole
    yield "header", "empty", struct.pack("<Q", 2) + b"{}"
    yield "tokenizer", "bpe", json.dumps({"model": {"type": "BPE", "vocab": {"a": 1}}}).encode()
    for network in range(2):
        yield "registry", f"whole-{network}", bytes([network])
        yield "registry", f"changed-{network}", bytes([network, *range(24)])
    yield from _pickles(state)
    yield from _diffusion()


def _videos() -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        for name, clip in CLIPS.items():
            yield name, write_clip(Path(folder, name), clip).read_bytes()


def _journal() -> bytes:
    """The lines of a journal with one segment, without their checksums."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder), {"key": "abc"}) as journal:
        journal.next_path(".mp4").write_bytes(b"picture")
        journal.commit(8, Pause(Position(1, 8)), ".mp4")
        lines = Path(folder, "journal.jsonl").read_bytes().splitlines()
        return b"\n".join(line.rpartition(b" ")[0] for line in lines)


def _pickles(state: dict[str, torch.Tensor]) -> Iterator[tuple[str, str, bytes]]:
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save({"state_dict": state, "epoch": 3}, buffer, _use_new_zipfile_serialization=zipped)
        for target in ("pickle", "convert"):
            yield target, f"whole-{zipped}", b"\0" + buffer.getvalue()
    numbers = pickle.dumps({"state_dict": {"a": [1, 2.5, "b", None, (True, b"c")]}}, 2)
    for target in ("pickle", "convert"):
        yield target, "numbers", b"\x80" + numbers
        yield target, "tensor", b"\x81" + _naming("torch._utils", "_rebuild_tensor_v2")
    yield "torchscript", "tensor", b"\x80" + _naming("torch._utils", "_rebuild_tensor_v2")
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), buffer)
    yield "torchscript", "whole", b"\0" + buffer.getvalue()


def _diffusion() -> Iterator[tuple[str, str, bytes]]:
    """Of every network, stage and system one that is whole and two that are changed."""
    for number in range(len(NETWORKS)):
        yield "networks", f"whole-{number}", bytes([number])
        yield "networks", f"changed-{number}", bytes([number, *range(0, 128, 4)])
        yield "networks", f"copied-{number}", bytes([number, 40 + number, 7, 200, 0, 0, 7, 60, 1])
    for choice in (0, 1):
        yield "stages", f"whole-{choice}", bytes([choice])
        yield "stages", f"changed-{choice}", bytes([choice, *range(0, 40, 5)]) + bytes(range(16))
        yield "stages", f"text-{choice}", bytes([choice | 128, *bytes(8)]) + b'{"stam":{"h":1}}'
    for choice in range(2 * len(SYSTEMS)):
        yield "find", f"whole-{choice}", bytes([choice, choice // 2, 255])
        yield "find", f"changed-{choice}", bytes([choice, choice, 170, *range(3, 40)])
    with tempfile.TemporaryDirectory() as folder:
        yield "pieces", "whole", tokenizer_model(Path(folder, "spiece.model")).read_bytes()


def _naming(module: str, name: str) -> bytes:
    """The pickle of a mapping with one tensor of four numbers, made by the function of that name."""
    head = b"\x80\x02}X\x01\0\0\0ac" + f"{module}\n{name}\n".encode()
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ"
    return head + b"(" + storage + b"K\0K\x04\x85K\x01\x85\x89}tRs."


def main(folder: Path) -> None:
    """Write all seeds."""
    for target, name, data in seeds():
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
