"""Tuples in each other: a deep one that is hashed ends the process, so it has to be seen before."""

import pickle
import pickletools
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textovsr.models.pickle_depth import DEEPEST, Nesting
from textovsr.models.pickled import open_pickled
from textovsr.models.torchscript import read_torchscript
from textovsr.tests.helpers.hostile import refused

DEEP = 200_000
KEY = b"\x80\x02}%bK\x01s."
WAYS = {
    "alone": b")" + b"\x85" * DEEP,
    "with something before": b")" + b"K\0\x86" * DEEP,
    "with something after": b"K\0" * DEEP + b")" + b"\x86" * DEEP,
    "with two": b")" + b"K\0K\0\x87" * DEEP,
    "of any number": b"(" * DEEP + b")" + b"t" * DEEP,
    "out of the memo": b")" + b"\x85q\x000h\x00" * DEEP,
    "doubled": b")" + b"2\x86" * DEEP,
    "built": b")" + b"\x85Nb" * DEEP,
}


def depth_of(data: bytes) -> int:
    nesting = Nesting()
    return max(nesting.see(opcode, argument) for opcode, argument, _ in pickletools.genops(data))


def archive(path: Path, data: bytes, root: str = "data.pkl") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        records = {"data.pkl": b"\x80\x02}.", "version": b"3\n", "byteorder": b"little", root: data}
        for name, content in records.items():
            file.writestr(f"archive/{name}", content)
    return path


@pytest.mark.parametrize("way", WAYS)
def test_a_deep_key_does_not_end_the_process(way: str, tmp_path: Path) -> None:
    data = KEY % WAYS[way]
    refused(archive(tmp_path / "deep.pt", data), "tuples in each other", open_pickled)
    (tmp_path / "old.pt").write_bytes(data)
    refused(tmp_path / "old.pt", "tuples in each other", open_pickled)
    refused(archive(tmp_path / "script.pt", data, "constants.pkl"), "tuples in each other", read_torchscript)


def test_what_takes_more_than_there_is_is_damaged(tmp_path: Path) -> None:
    refused(archive(tmp_path / "short.pt", b"\x80\x02s."), "finds nothing to take", open_pickled)
    refused(archive(tmp_path / "unmarked.pt", b"\x80\x02t."), "finds nothing to take", open_pickled)


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner).map(tuple) | st.lists(inner)),
    st.integers(2, 5),
)
def test_nothing_is_taken_to_be_less_deep_than_it_is(value: object, protocol: int) -> None:
    def depth(value: object) -> int:
        if not isinstance(value, tuple | list):
            return 0
        return max(map(depth, value), default=0) + (isinstance(value, tuple) and value != ())

    assert depth_of(pickle.dumps(value, protocol)) >= depth(value)


def test_tuples_side_by_side_are_not_deep() -> None:
    assert depth_of(pickle.dumps([((1, 2), (3, (4,)))] * 10 * DEEPEST, 2)) == 3
