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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm import user_cache
from rnnlm.errors import TextError
from rnnlm.files import atomic as storage
from rnnlm.text import files, tokenizers
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task

_BLOCK = 1 << 22  # bytes that are checked at once


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
    """

    def __init__(
        self,
        stored: NDArray[Any],
        counts: Counts,
        vocabulary: Vocabulary,
        source: str,
        text_hash: str = "",
        key: str = "",
    ) -> None:
        # A plain read-only array whatever it was: a kernel is compiled once for each kind of array.
        self.stored = np.asarray(stored)[:]
        self.stored.flags.writeable = False
        self.counts = counts
        self.vocabulary = vocabulary
        self.source = source
        self.text_hash = text_hash
        self.key = key

    def __len__(self) -> int:
        return len(self.stored)

    def ids(self, start: int, stop: int) -> NDArray[np.int32]:
        """Token ids of [start, stop), those out of the vocabulary as <unk>."""
        return self.vocabulary.to_unk(self.stored[start:stop])

    def part(self, start: int, stop: int) -> Corpus:
        """Tokens [start, stop) as a text of its own; its `counts` are those of the whole."""
        return Corpus(self.stored[start:stop], self.counts, self.vocabulary, self.source, self.key)


def encode(path: str | Path, vocabulary: Vocabulary, folder: str | Path) -> Task[Corpus]:
    """Encode a text into `folder`, or find it there. Yields Progress, returns a Corpus.

    Raises:
        TextError: the text is empty, unreadable or not UTF-8.
    """
    text_hash = files.sha256(path)
    key = hashlib.sha256(f"{text_hash} {vocabulary.hash()}".encode()).hexdigest()[:32]
    ids_path, json_path = Path(folder) / f"{key}.ids", Path(folder) / f"{key}.json"
    dtype = _dtype(vocabulary)
    counts = _read_counts(json_path, ids_path, vocabulary)
    if counts is None:
        with storage.atomic_write(ids_path) as file:
            tokens = unknown = line_ends = characters = checksum = 0
            total = files.size(path)
            for piece in tokenizers.pieces(path, vocabulary.unit, vocabulary.lowercase):
                ids = vocabulary.encode(piece.tokens)
                stored = ids.astype(dtype).tobytes()
                file.write(stored)
                checksum = zlib.crc32(stored, checksum)
                tokens += len(ids)
                unknown += int((ids == len(vocabulary)).sum())
                line_ends += int((ids == vocabulary.line_end).sum())
                characters += piece.characters
                yield Progress(f"encoding {Path(path).name}", piece.done, total, "bytes")
            if tokens == 0:
                raise TextError(f"{path}: empty; give a text with at least one token")
        counts = Counts(tokens, unknown, line_ends, characters)
        storage.write_text(json_path, json.dumps(asdict(counts) | {"checksum": _with_counts(checksum, counts)}))
    for used in (ids_path, json_path):
        user_cache.touch(used)
    return Corpus(np.memmap(ids_path, dtype, "r"), counts, vocabulary, str(path), text_hash, key)


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
    unknown = int((ids == len(vocabulary)).sum())
    counts = Counts(len(ids), unknown, int((ids == vocabulary.line_end).sum()), characters)
    return Corpus(ids.astype(_dtype(vocabulary)), counts, vocabulary, source)


def _dtype(vocabulary: Vocabulary) -> np.dtype[Any]:
    return np.dtype(np.uint16 if len(vocabulary) < 2**16 else np.int32)
