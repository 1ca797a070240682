"""Prompts to T5's tokens, with a vocabulary from a file: transformers' ``tokenizer.json`` or SentencePiece's own."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DamagedWeightsError, WeightsNotFoundError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENS = 226
"""Of a prompt, with its end: what CogVideoX was trained with."""

_NAMES = ("tokenizer.json", "spiece.model")
_FOLDERS = ("", "tokenizer")
_PAD, _END, _UNKNOWN = 0, 1, 2
_VARINT = 10  # bytes of a number, at most
_SPACE = "\u2581"
_PIECE, _NORMALIZER, _TEXT, _SCORE, _TABLE = 1, 3, 1, 2, 2  # fields of SentencePiece's file


def load_tokenizer(path: Path) -> "Tokenizer":
    """Read a vocabulary of T5.

    Args:
        path: ``tokenizer.json``, ``spiece.model``, or a folder that has one of them, itself or in ``tokenizer``.

    Raises:
        WeightsNotFoundError: there is none.
        DamagedWeightsError: it is no vocabulary of T5.
    """
    found = [path] if path.is_file() else [path / folder / name for folder in _FOLDERS for name in _NAMES]
    file = next((file for file in found if file.is_file()), None)
    if file is None:
        raise WeightsNotFoundError(
            f"Expected T5's tokeniser at {path}, a {' or '.join(_NAMES)}, found none; ComfyUI has one in "
            "comfy/text_encoders/t5_tokenizer, and CogVideoX-5B in its folder tokenizer."
        )
    try:
        tokenizer = _sentencepiece(file.read_bytes()) if file.suffix == ".model" else _fast(file)
    except Exception as error:  # the library raises nothing more special
        raise DamagedWeightsError(f"Expected T5's tokeniser in {file}, got: {error}; choose another file.") from error
    if tokenizer.token_to_id("</s>") != _END or tokenizer.token_to_id("<pad>") != _PAD:
        raise DamagedWeightsError(f"Expected the end of T5's texts as token {_END} in {file}; choose another file.")
    return tokenizer


def token_ids(tokenizer: "Tokenizer", prompt: str, length: int) -> list[int]:
    """``length`` ids: the prompt's, cut so that its end fits, the end, and padding."""
    words = tokenizer.encode(prompt, add_special_tokens=False).ids[: length - 1]
    return [*words, _END, *[_PAD] * (length - 1 - len(words))]


def _fast(file: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _sentencepiece(content: bytes) -> "Tokenizer":
    """The same of SentencePiece's file, which is a protocol buffer (sentencepiece_model.proto)."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    pieces, table = [], b""
    for number, value in _fields(content):
        if number == _PIECE and isinstance(value, bytes):
            piece = dict(_fields(value))
            (score,) = struct.unpack("<f", _bytes(piece.get(_SCORE, b"\0\0\0\0")))
            pieces.append((_bytes(piece[_TEXT]).decode(), score))
        elif number == _NORMALIZER and isinstance(value, bytes):
            table = _bytes(dict(_fields(value)).get(_TABLE, b""))
    tokenizer = Tokenizer(models.Unigram(pieces, _UNKNOWN, byte_fallback=False))
    squeezed = normalizers.Replace(Regex(" {2,}"), _SPACE)
    steps = [normalizers.Precompiled(table)] if table else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Strip(left=False, right=True), squeezed])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always")
    return tokenizer


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and contents of a message's fields: bytes, or the number of one that is a varint."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"field of the unknown kind {kind}")
        length, place = _varint(message, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
        if place + length > len(message):
            raise ValueError("the file ends too early")
        yield tag >> 3, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * _VARINT, 7):
        byte = message[place]
        value |= (byte & 127) << shift
        place += 1
        if byte < 128:
            return value, place
    raise ValueError("a number without end")


def _bytes(value: bytes | int) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where text is expected")
    return value
