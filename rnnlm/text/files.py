"""Text files, plain or gzip, read in blocks: no text is ever whole in memory.

A text may be a pipe, or standard input (``-``): `blocks` reads it once, forward. What needs a text several times
calls `check_file` first.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from rnnlm.config.encodings import UTF_8, display
from rnnlm.errors import TextError
from rnnlm.text.joined import Joined, TextPath

_BLOCK = 1 << 20
_BYTE_ORDER_MARK = "\ufeff"
_STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0")
_ENDLESS = ("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class Block(NamedTuple):
    data: bytes
    done: int  # bytes of the file (compressed, for gzip) read so far


def name(path: TextPath) -> str:
    """The text's name, for messages and results."""
    return "standard input" if str(path) in _STANDARD_INPUT else str(path)


def size(path: TextPath) -> int | None:
    """Bytes of the file as it lies on the disk, of several files all that are read; None for a pipe, a terminal or
    ``-``.

    Raises:
        TextError: there is no such file, or it is a folder or a device that has no end.
    """
    if isinstance(path, Joined):
        return sum(part.weight * (size(part.path) or 0) for part in path.parts)
    try:
        found = os.fstat(0) if str(path) == "-" else os.stat(path)
    except OSError as error:
        raise TextError(f"{name(path)}: {error.strerror}; give the path of a text file") from None
    if stat.S_ISDIR(found.st_mode):
        raise TextError(f"{path}: a folder; give a text file")
    if stat.S_ISBLK(found.st_mode) or (stat.S_ISCHR(found.st_mode) and _is_endless(found.st_rdev)):
        raise TextError(f"{name(path)}: a device; give a text file")
    return found.st_size if stat.S_ISREG(found.st_mode) and str(path) != "-" else None


def _is_endless(device: int) -> bool:
    return any(os.path.exists(path) and os.stat(path).st_rdev == device for path in _ENDLESS)


def check_file(path: TextPath) -> None:
    """Check that a text can be read several times, and is not empty.

    Raises:
        TextError: it is empty; it is a pipe, a terminal or ``-``; as `size`.
    """
    if isinstance(path, Joined):
        for part in path.parts:
            check_file(part.path)
        return
    found = size(path)
    if found is None:
        raise TextError(
            f"{name(path)}: not a file, so it can be read only once, and here it is needed several times (to count "
            "tokens, to encode them, to know it again); write it into a file first"
        )
    if found == 0:
        raise TextError(f"{path}: empty; give a text with at least one token")


def blocks(path: str | Path, at_once: bool = False) -> Iterator[Block]:
    """The file's bytes in blocks of at most a megabyte, decompressed when it begins as gzip does.

    Args:
        at_once: of a pipe, give out what is there instead of waiting for a whole block.

    Raises:
        TextError: unreadable, or damaged gzip.
    """
    size(path)
    try:
        with _open(path) as file:
            raw = _Forward(file, at_once)
            stream = gzip.GzipFile(fileobj=cast(BinaryIO, raw)) if raw.head == b"\x1f\x8b" else raw
            while data := stream.read(_BLOCK):
                yield Block(data, raw.done)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TextError(f"{name(path)}: damaged gzip file ({error}); fetch or pack it again") from None
    except OSError as error:
        raise TextError(f"{name(path)}: {error.strerror or error}; give a readable text file") from None


class _Forward:
    """A file that is read forward only, since a pipe cannot go back.

    `head`: its first two bytes, which `read` gives out too; `done`: bytes read so far.
    """

    def __init__(self, file: BufferedReader, at_once: bool) -> None:
        self._file, self._at_once = file, at_once
        self.head = file.read1(2) if at_once else file.read(2)
        if self.head == b"\x1f":  # perhaps gzip's
            self.head += file.read(1)
        self.done = 0

    def read(self, size: int) -> bytes:
        data = self.head[self.done : self.done + size]
        if not self._at_once:
            data += self._file.read(size - len(data))
        elif not data:
            data = self._file.read1(size)
        self.done += len(data)
        return data


def _open(path: str | Path) -> AbstractContextManager[BufferedReader]:
    standard_input = str(path) in _STANDARD_INPUT and size(path) is None
    return open(0, "rb", closefd=False) if standard_input else open(path, "rb")


def characters(path: str | Path, encoding: str = UTF_8) -> Iterator[tuple[str, int]]:
    """The text in blocks of code points, and the bytes read so far. CR LF is read as one line end, a
    byte-order mark left out.

    Args:
        encoding: a codec's name, as ``rnnlm.config.encodings.codec`` gives it.

    Raises:
        TextError: not in this encoding; names the byte and the line.
    """
    begun = False
    held = ""  # a CR at a block's end waits for the LF that may follow
    done = 0
    for decoded, done in _decoded(path, encoding):
        text = held + decoded
        if text and not begun:
            text, begun = text.removeprefix(_BYTE_ORDER_MARK), True
        held = "\r" if text.endswith("\r") else ""
        yield text[: len(text) - len(held)].replace("\r\n", "\n"), done
    if held:
        yield held, done


def utf8_blocks(path: str | Path, encoding: str = UTF_8, at_once: bool = False) -> Iterator[Block]:
    """`blocks` in UTF-8, from a text in another encoding; one that is in UTF-8 is not checked.

    Raises:
        TextError: as `characters`.
    """
    if encoding == UTF_8:
        yield from blocks(path, at_once)
        return
    for text, done in _decoded(path, encoding, at_once):
        if text:
            yield Block(text.encode(), done)


def _decoded(path: str | Path, encoding: str, at_once: bool = False) -> Iterator[tuple[str, int]]:
    """The text in blocks of code points as the codec gives them, and the bytes read so far."""
    decoder = codecs.getincrementaldecoder(encoding)()
    position, line, done = 0, 1, 0  # of the next byte to decode, in the decompressed text
    for data, done in blocks(path, at_once):
        text = _decode(decoder, data, position, line, path, encoding)
        position += len(data)
        line += text.count("\n")
        yield text, done
    if rest := _decode(decoder, b"", position, line, path, encoding, final=True):
        yield rest, done


def _decode(
    decoder: codecs.IncrementalDecoder, data: bytes, position: int, line: int, path: str | Path, encoding: str,
    final: bool = False,
) -> str:  # fmt: skip
    """The next characters. position, line: of the first byte of `data` in the text, from 0 and from 1."""
    before = decoder.getstate()
    try:
        return decoder.decode(data, final)
    except UnicodeError as error:
        if isinstance(error, UnicodeDecodeError) and "BOM" not in error.reason:
            byte = position - len(before[0]) + error.start
            decoder.setstate(before)
            line += decoder.decode(data[: max(0, byte - position)]).count("\n")
            where = f"at byte {byte + 1} (0x{error.object[error.start]:02x}) on line {line}"
        else:  # of UTF-16 and UTF-32; before Python 3.13 the error has no place
            where = "(it does not begin with a byte-order mark, BOM)"
    raise TextError(
        f"{name(path)}: not {display(encoding)} {where}; give its own encoding (in a configuration data.encoding, "
        "of a command --encoding), or take data.unit: byte"
    )


def table_lines(path: str | Path, what: str) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 table that are not empty, each with its number from 1. what: the table, for the message.

    Raises:
        TextError: not UTF-8; names the byte.
    """
    data = b"".join(block.data for block in blocks(path))
    try:
        lines = data.decode("utf-8").removeprefix(_BYTE_ORDER_MARK).split("\n")
    except UnicodeDecodeError as error:
        raise TextError(f"{path}: not UTF-8 at byte {error.start + 1}; {what} is UTF-8 text") from None
    for number, line in enumerate(lines, 1):
        if line := line.removesuffix("\r"):
            yield number, line


def sha256(path: TextPath) -> str:
    """Hash of the file as it lies on the disk; of several files, of their hashes and weights in their order.

    Raises:
        TextError: unreadable; as `check_file`.
    """
    if isinstance(path, Joined):
        each = "".join(f"{sha256(part.path)} {part.weight}\n" for part in path.parts)
        return hashlib.sha256(each.encode()).hexdigest()
    check_file(path)
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TextError(f"{path}: {error.strerror or error}; give a readable text file") from None
