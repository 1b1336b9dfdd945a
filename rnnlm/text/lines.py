"""Lines of a text as they come, each to be scored by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import TextError
from rnnlm.text import files
from rnnlm.text.tokenizers.bytes import check_encoding
from rnnlm.text.tokenizers.words import LONGEST

# Lines that are given out together: enough for many streams, few enough to be answered soon.
_TOGETHER = 2048
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line of a text, without its end."""

    number: int  # from 1
    text: str  # of bytes that are no UTF-8, surrogates (``errors="surrogateescape"``)
    ended: bool  # whether it has an end; only a text's last line may have none


def characters_of(text: str) -> int:
    """Code points of a line; of what is no UTF-8 every byte but continuations, as everywhere."""
    if text.isascii():
        return len(text)
    return sum(byte & 0xC0 != 0x80 for byte in text.encode("utf-8", "surrogateescape"))


def lines(path: str | Path, unit: str, encoding: str = UTF_8, readers: int = 1) -> Iterator[list[Line]]:
    """The lines of a text file or a pipe, those at once that are there, never none.

    CR LF is one line end and a byte-order mark is left out, but where tokens are bytes.

    Args:
        encoding: of the text, a codec's name. readers: who share out what is given out at once.

    Raises:
        InputError: an encoding of a text that is read as bytes.
        TextError: the file cannot be read; a line is not in its encoding (units word and char), or has no end in
            sight.
    """
    if unit == "byte":
        check_encoding(encoding)
    number, rest, together = 0, b"", _TOGETHER * readers
    for data, _ in files.utf8_blocks(path, encoding, at_once=True):
        *whole, rest = (rest + data).split(b"\n")
        if len(rest) > LONGEST:
            raise TextError(f"{files.name(path)}:{number + len(whole) + 1}: a line of more than {LONGEST:,} bytes")
        for first in range(0, len(whole), together):
            some = whole[first : first + together]
            yield [_line(raw, number + i, True, path, unit) for i, raw in enumerate(some, 1)]
            number += len(some)
    if rest and not (number == 0 and unit != "byte" and rest == _BYTE_ORDER_MARK):
        yield [_line(rest, number + 1, False, path, unit)]


def _line(raw: bytes, number: int, ended: bool, path: str | Path, unit: str) -> Line:
    if unit == "byte":
        return Line(number, raw.decode("utf-8", "surrogateescape"), ended)
    if number == 1:
        raw = raw.removeprefix(_BYTE_ORDER_MARK)
    if ended:
        raw = raw.removesuffix(b"\r")
    try:
        return Line(number, raw.decode("utf-8"), ended)
    except UnicodeDecodeError as error:
        value = raw[error.start]
        raise TextError(
            f"{files.name(path)}:{number}: not UTF-8 at byte {error.start + 1} of the line (0x{value:02x}); give "
            "the text's own encoding (--encoding), or convert it to UTF-8"
        ) from None
