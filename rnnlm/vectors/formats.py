"""File formats of word vectors, each plain or gzip, told apart by their content.

    word2vec text, fastText .vec    "|V| d" on a line, then a row a line: token, d numbers, one space between
    GloVe text                      the same without the first line; a token may have spaces in it (glove.840B)
    word2vec binary                 "|V| d" on a line, then row after row: token, space, d float32, low byte first

Tokens are bytes here: nothing but the space (0x20) and the newline (0x0A) divides anything, so that words
with no-break spaces and other Unicode whitespace stay whole. Rows are read one by one and never all kept;
the numbers of a row are looked at only when `VectorFile.numbers` is asked for them.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from rnnlm.errors import InputError, TextError

Row = tuple[bytes, bytes, int]
"""Token, its numbers as they stand in the file, and where: line number (text) or byte offset (binary)."""

_HEAD = 1 << 20  # bytes looked at to tell what the file is; also the longest line
_LONGEST_TOKEN = 4096
_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[ \t]*(\d{1,12})[ \t]+(\d{1,9})[ \t]*\r?")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1b]")  # not in texts; one byte in ten of random float32
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\xba\x16\x4f\x2f": "a fastText model (.bin); give the .vec file that belongs to it",
}


@dataclass(frozen=True)
class VectorFile:
    """A file of word vectors that is being read."""

    path: Path
    stream: BinaryIO
    raw: BinaryIO
    binary: bool
    dimension: int
    count: int | None
    """Rows, as the file's first line says; None where it has no such line."""

    def rows(self) -> Iterator[Row]:
        """Every row, in order.

        Raises:
            TextError: a row has too few or too many numbers, or the file has fewer or more rows than its
                first line says.
        """
        return self._binary_rows() if self.binary else self._text_rows()

    def numbers(self, row: Row) -> np.ndarray:
        """The row's d numbers, float32.

        Raises:
            TextError: one of them is not a finite number.
        """
        _, payload, place = row
        if self.binary:
            values = np.frombuffer(payload, "<f4").astype(np.float32)
        else:
            fields = payload.split(b" ")
            try:
                with np.errstate(over="ignore"):
                    values = np.array([float(field) for field in fields], np.float32)
            except ValueError:
                wrong = next(field for field in fields if not _is_number(field))
                raise TextError(f"{self._at(place)}: {_show(wrong)} is not a number; {self._row_form}") from None
        if not np.isfinite(values).all():
            column = int(np.flatnonzero(~np.isfinite(values))[0]) + 1
            raise TextError(
                f"{self._at(place)}: number {column} of {self.dimension} is not a finite float32; "
                "mend the row or take it out"
            )
        return values

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self.raw.tell()

    @property
    def _row_form(self) -> str:
        return f"each row is a token and {self.dimension} numbers"

    def _at(self, place: int) -> str:
        return f"{self.path}: byte {place}" if self.binary else f"{self.path}:{place}"

    def _text_rows(self) -> Iterator[Row]:
        d, rows, number, blank = self.dimension, 0, 0, 0
        if self.count is not None:
            self.stream.readline()
            number = 1
        while line := self.stream.readline(_HEAD):
            number += 1
            if len(line) == _HEAD and not line.endswith(b"\n"):
                raise TextError(f"{self.path}:{number}: longer than {_HEAD} bytes; {self._row_form}")
            line = line.rstrip(b" \t\r\n")
            if not line:
                blank = blank or number
                continue
            if blank:
                raise TextError(f"{self.path}:{blank}: an empty line; {self._row_form}")
            found = line.count(b" ")
            if found == d:
                token, _, payload = line.partition(b" ")
            elif found > d:
                token, *fields = line.rsplit(b" ", d)
                payload = b" ".join(fields)
                more = token.split(b" ")[1:]
                if more and all(map(_is_number, more)):
                    raise TextError(f"{self.path}:{number}: {found} numbers; {self._row_form}")
                token = token.rstrip(b" ") or token
            else:
                raise TextError(f"{self.path}:{number}: {found} numbers; {self._row_form}")
            rows += 1
            if self.count is not None and rows > self.count:
                raise TextError(
                    f"{self.path}:{number}: a row more than the {self.count} that line 1 says; mend line 1"
                )
            yield token, payload, number
        if self.count is not None and rows < self.count:
            raise TextError(
                f"{self.path}:{number}: ends after {rows} rows; line 1 says {self.count}; "
                "get the whole file or mend line 1"
            )

    def _binary_rows(self) -> Iterator[Row]:
        assert self.count is not None
        width = 4 * self.dimension
        offset = len(self.stream.readline())  # of buffer[0] in the (unpacked) file
        buffer, at = b"", 0
        for row in range(self.count):
            while True:
                space = buffer.find(b" ", at)
                if (space if space >= 0 else len(buffer)) - at > _LONGEST_TOKEN:
                    raise TextError(
                        f"{self._at(offset + at)}: no token ends within {_LONGEST_TOKEN} bytes; "
                        f"row {row + 1} or the one before it is damaged"
                    )
                if space >= 0 and len(buffer) >= space + 1 + width:
                    break
                more = self.stream.read(_HEAD)
                if not more:
                    end = offset + len(buffer)
                    raise TextError(f"{self._at(end)}: ends within row {row + 1} of {self.count}; get the whole file")
                offset, buffer, at = offset + at, buffer[at:] + more, 0
            # word2vec ends each row with a newline, gensim does not.
            yield buffer[at:space].lstrip(b"\n"), buffer[space + 1 : space + 1 + width], offset + at
            at = space + 1 + width
        rest = buffer[at:] + self.stream.read(_HEAD)
        if rest.strip(b"\n"):
            raise TextError(
                f"{self._at(offset + at)}: goes on after the {self.count} rows that its first line says; "
                "mend that line"
            )


@contextmanager
def open_vectors(path: str | Path) -> Iterator[VectorFile]:
    """Open a file of word vectors and find out its format and dimension.

    Raises:
        InputError: the file cannot be read, or is of another kind.
        TextError: it is no file of word vectors, or the gzip data are damaged (then also while its rows are
            read).
    """
    path = Path(path)
    try:
        raw = open(path, "rb")  # noqa: SIM115 (the errors of opening are others than those of reading)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a file of word vectors") from None
    with raw:
        try:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
            head = stream.read(_HEAD)
            stream.seek(0)
            yield _recognise(path, stream, raw, head)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TextError(f"{path}: byte {raw.tell()}: damaged gzip data ({error}); get the whole file") from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}; give a file of word vectors") from None


def _recognise(path: Path, stream: BinaryIO, raw: BinaryIO, head: bytes) -> VectorFile:
    if head[:4] in _OTHER_FILES:
        raise InputError(f"{path}: {_OTHER_FILES[head[:4]]}")
    if not head.strip():
        raise InputError(f"{path}: empty; give a file of word vectors")
    first, _, rest = head.partition(b"\n")
    header = _HEADER.fullmatch(first)
    if header is None:
        return VectorFile(path, stream, raw, False, _dimension_of(path, head), None)
    count, dimension = int(header[1]), int(header[2])
    if dimension == 0:
        raise TextError(
            f"{path}:1: 0 numbers a token; the first line is the number of rows and of the numbers in each"
        )
    return VectorFile(path, stream, raw, _is_binary(rest, dimension), dimension, count)


def _is_binary(rows: bytes, dimension: int) -> bool:
    """Whether the rows after the first line are binary: the first is no text, and some bytes are in none."""
    fields = rows.partition(b"\n")[0].rstrip(b" \t\r").split(b" ")
    if len(fields) > dimension and all(map(_is_number, fields[-dimension:])):
        return False
    if _CONTROL.search(rows):
        return True
    try:
        rows.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data"  # that is where the head was cut
    return False


def _dimension_of(path: Path, head: bytes) -> int:
    """How many numbers most of the first rows end with (a token may have spaces, or be a number itself)."""
    lines = head.split(b"\n")
    if len(lines) > 1 and len(head) == _HEAD:
        lines.pop()  # cut
    votes: Counter[int] = Counter()
    for line in lines[:100]:
        fields = line.rstrip(b" \t\r").split(b" ")
        numbers = 0
        while numbers < len(fields) - 1 and _is_number(fields[-1 - numbers]):
            numbers += 1
        votes[numbers] += bool(numbers)
    if not votes.total():
        start = _show(lines[0][:30])
        raise TextError(
            f"{path}:1: starts with {start}; word vectors are rows of a token and numbers, with single spaces between"
        )
    return votes.most_common(1)[0][0]


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _show(field: bytes) -> str:
    return repr(field[:40].decode("utf-8", "replace"))
