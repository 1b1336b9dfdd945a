"""The encoded corpus: token ids in one memory-mapped file.

The ids are uint16 (|V| < 65,536) or int32. A token out of the vocabulary has the id |V| there, so that what
was unknown is not forgotten. The file is named by the hashes of the text and the vocabulary; a small JSON
beside it, written last, says that it is whole: it has the counts, and the CRC-32 of the ids and the counts. Kernels
trust ids, so these are checked whenever the file is opened.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rnnlm import user_cache
from rnnlm.config.encodings import UTF_8
from rnnlm.errors import TextError
from rnnlm.files import atomic as storage
from rnnlm.text import files, tokenizers
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task

_BLOCK = 1 << 22  # bytes that are checked at once
_TOKENS = 1 << 16  # taken at a time, where each becomes a Python object


@dataclass(frozen=True)
class Counts:
    """Token counts of an encoded text. `characters`: code points of the raw text."""

    tokens: int
    unknown: int
    line_ends: int
    characters: int


class Corpus:
    """Token ids of one text.

    Args:
        stored: ids as they lie on disk, |V| for what is unknown.
        source: the text's name, for messages; text_hash: sha256 of its file; key: hash of both that and the
            vocabulary.
        unknown: the tokens out of the vocabulary in their order, or a file of them, one a line; None: not kept.
    """

    def __init__(
        self,
        stored: NDArray[Any],
        counts: Counts,
        vocabulary: Vocabulary,
        source: str,
        text_hash: str = "",
        key: str = "",
        unknown: Sequence[str] | Path | None = None,
    ) -> None:
        # A plain read-only array whatever it was: a kernel is compiled once for each kind of array.
        self.stored = np.asarray(stored)[:]
        self.stored.flags.writeable = False
        self.counts = counts
        self.vocabulary = vocabulary
        self.source = source
        self.text_hash = text_hash
        self.key = key
        self.unknown = unknown

    def __len__(self) -> int:
        return len(self.stored)

    def ids(self, start: int, stop: int) -> NDArray[np.int32]:
        """Token ids of [start, stop), those out of the vocabulary as <unk>."""
        return self.vocabulary.to_unk(self.stored[start:stop])

    def tokens(self) -> Iterator[str]:
        """The text's own tokens in their order, those out of the vocabulary as the text has them."""
        assert self.unknown is not None
        known, outside = self.vocabulary.tokens, len(self.vocabulary)
        unknown = _lines(self.unknown) if isinstance(self.unknown, Path) else iter(self.unknown)
        for start in range(0, len(self), _TOKENS):
            for id in self.stored[start : start + _TOKENS].tolist():
                yield known[id] if id != outside else next(unknown)

    def part(self, start: int, stop: int) -> Corpus:
        """Tokens [start, stop) as a text of its own; its `counts` are those of the whole."""
        return Corpus(self.stored[start:stop], self.counts, self.vocabulary, self.source, self.text_hash, self.key)


def encode(path: str | Path, vocabulary: Vocabulary, folder: str | Path, encoding: str = UTF_8) -> Task[Corpus]:
    """Encode a text file into `folder`, or find it there. Yields Progress, returns a Corpus.

    Args:
        encoding: of the text, a codec's name.

    Raises:
        TextError: the text is empty, unreadable, no file or not in its encoding.
    """
    text_hash = files.sha256(path)
    read_as = "" if encoding == UTF_8 else f" {encoding}"
    key = hashlib.sha256(f"{text_hash} {vocabulary.hash()}{read_as}".encode()).hexdigest()[:32]
    ids_path, json_path = Path(folder) / f"{key}.ids", Path(folder) / f"{key}.json"
    dtype = _dtype(vocabulary)
    counts = _read_counts(json_path, ids_path, vocabulary)
    if counts is None:
        with storage.atomic_write(ids_path) as file:
            counts, checksum = yield from _write(path, vocabulary, encoding, file)
        storage.write_text(json_path, json.dumps(asdict(counts) | {"checksum": _with_counts(checksum, counts)}))
    for used in (ids_path, json_path):
        user_cache.touch(used)
    return Corpus(np.memmap(ids_path, dtype, "r"), counts, vocabulary, str(path), text_hash, key)


def read(path: str | Path, vocabulary: Vocabulary, folder: str | Path, encoding: str = UTF_8) -> Task[Corpus]:
    """Encode a text that is read once, forward only, so that it may be a pipe; its own tokens are kept.

    Yields Progress, returns a Corpus.

    Args:
        path: a file, a pipe, or "-", standard input. folder: a temporary one, for this text alone. encoding: of the
            text, a codec's name.

    Raises:
        InputError: an encoding for a vocabulary of bytes.
        TextError: the text is empty, unreadable or not in its encoding.
    """
    ids_path, unknown_path = Path(folder) / "text.ids", Path(folder) / "unknown.txt"
    with storage.atomic_write(ids_path) as file, storage.atomic_write(unknown_path) as unknown:
        counts, _ = yield from _write(path, vocabulary, encoding, file, unknown)
    stored = np.memmap(ids_path, _dtype(vocabulary), "r")
    return Corpus(stored, counts, vocabulary, files.name(path), unknown=unknown_path)


def _write(
    path: str | Path, vocabulary: Vocabulary, encoding: str, file: BinaryIO, spelled: BinaryIO | None = None
) -> Task[tuple[Counts, int]]:
    """Write a text's ids to `file`, and its tokens out of the vocabulary to `spelled`, one a line. Returns the counts
    and the checksum of the ids."""
    tokens = unknown = line_ends = characters = checksum = 0
    total = files.size(path)
    name, dtype, outside = Path(files.name(path)).name, _dtype(vocabulary), len(vocabulary)
    words = vocabulary
    for piece in tokenizers.pieces(path, words.unit, words.lowercase, words.tokenizer, encoding):
        ids = vocabulary.encode(piece.tokens)
        stored = ids.astype(dtype).tobytes()
        file.write(stored)
        checksum = zlib.crc32(stored, checksum)
        positions = np.flatnonzero(ids == outside)
        if spelled is not None:
            spelled.write("".join(f"{piece.tokens[i]}\n" for i in positions.tolist()).encode())
        tokens += len(ids)
        unknown += len(positions)
        line_ends += int((ids == vocabulary.line_end).sum())
        characters += piece.characters
        yield Progress(f"encoding {name}", piece.done, total, "bytes")
    if tokens == 0:
        raise TextError(f"{files.name(path)}: empty; give a text with at least one token")
    return Counts(tokens, unknown, line_ends, characters), checksum


def _lines(path: Path) -> Iterator[str]:
    """Lines of a file that ends each with a newline; other line separators are part of them."""
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from (line[:-1] for line in file)


def _read_counts(json_path: Path, ids_path: Path, vocabulary: Vocabulary) -> Counts | None:
    """The counts of a whole encoded text; None when it is not there, or not as it was written."""
    dtype = _dtype(vocabulary)
    try:
        values = json.loads(json_path.read_text(encoding="utf-8"))
        wanted = values.pop("checksum")
        counts = Counts(**values)
        if not ids_path.is_file() or ids_path.stat().st_size != counts.tokens * dtype.itemsize:
            return None
        checksum, largest = 0, 0
        with open(ids_path, "rb") as file:
            while data := file.read(_BLOCK):
                checksum = zlib.crc32(data, checksum)
                ids = np.frombuffer(data, dtype)
                largest = max(largest, int(ids.max()), -int(ids.min()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    # |V| stands for an unknown token; a byte model has none.
    fits = largest <= len(vocabulary) if vocabulary.unk is not None else largest < len(vocabulary)
    return counts if fits and _with_counts(checksum, counts) == wanted else None


def _with_counts(checksum: int, counts: Counts) -> int:
    """The checksum of the ids, gone on with their counts."""
    return zlib.crc32(json.dumps(asdict(counts), sort_keys=True).encode(), checksum)


def from_tokens(tokens: Any, characters: int, vocabulary: Vocabulary, source: str) -> Corpus:
    """The corpus of a short text in memory.

    Raises:
        TextError: no token.
    """
    ids = vocabulary.encode(tokens)
    if not len(ids):
        raise TextError(f"{source}: empty; give a text with at least one token")
    unknown = [tokens[i] for i in np.flatnonzero(ids == len(vocabulary)).tolist()]
    counts = Counts(len(ids), len(unknown), int((ids == vocabulary.line_end).sum()), characters)
    return Corpus(ids.astype(_dtype(vocabulary)), counts, vocabulary, source, unknown=unknown)


def _dtype(vocabulary: Vocabulary) -> np.dtype[Any]:
    return np.dtype(np.uint16 if len(vocabulary) < 2**16 else np.int32)
