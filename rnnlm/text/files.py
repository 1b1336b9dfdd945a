"""Text files, plain or gzip, read in blocks: no text is ever whole in memory."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rnnlm.errors import TextError

_BLOCK = 1 << 20
_BYTE_ORDER_MARK = "\ufeff"


class Block(NamedTuple):
    data: bytes
    done: int  # bytes of the file (compressed, for gzip) read so far


def size(path: str | Path) -> int:
    """Bytes of the file as it lies on the disk.

    Raises:
        TextError: there is no such file, or it is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise TextError(f"{path}: a folder; give a text file")
    try:
        return path.stat().st_size
    except OSError as error:
        raise TextError(f"{path}: {error.strerror}; give the path of a text file") from None


def blocks(path: str | Path) -> Iterator[Block]:
    """The file's bytes in blocks of at most a megabyte, decompressed when it begins as gzip does.

    Raises:
        TextError: unreadable, or damaged gzip.
    """
    size(path)
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            while data := stream.read(_BLOCK):
                yield Block(data, raw.tell())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TextError(f"{path}: damaged gzip file ({error}); fetch or pack it again") from None
    except OSError as error:
        raise TextError(f"{path}: {error.strerror or error}; give a readable text file") from None


def characters(path: str | Path) -> Iterator[tuple[str, int]]:
    """The text in blocks of code points, and the bytes read so far. CR LF is read as one line end, a
    byte-order mark left out.

    Raises:
        TextError: not UTF-8; names the byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0  # of the next byte to decode, in the decompressed text
    begun = False
    held = ""  # a CR at a block's end waits for the LF that may follow
    for data, done in blocks(path):
        text = held + _decode(decoder, data, position, path, False)
        position += len(data)
        if text and not begun:
            text, begun = text.removeprefix(_BYTE_ORDER_MARK), True
        held = "\r" if text.endswith("\r") else ""
        yield text[: len(text) - len(held)].replace("\r\n", "\n"), done
    rest = held + _decode(decoder, b"", position, path, True)
    if rest:
        yield rest, size(path)


def _decode(decoder: codecs.IncrementalDecoder, data: bytes, position: int, path: str | Path, final: bool) -> str:
    pending = len(decoder.getstate()[0])
    try:
        return decoder.decode(data, final)
    except UnicodeDecodeError as error:
        byte = position - pending + error.start
        value = error.object[error.start]
        raise TextError(
            f"{path}: not UTF-8 at byte {byte} (0x{value:02x}); convert it to UTF-8, or take data.unit: byte"
        ) from None


def sha256(path: str | Path) -> str:
    """Hash of the file as it lies on the disk.

    Raises:
        TextError: unreadable.
    """
    size(path)
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TextError(f"{path}: {error.strerror or error}; give a readable text file") from None
