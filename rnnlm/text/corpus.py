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
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm import user_cache
from rnnlm.config.encodings import UTF_8
from rnnlm.errors import TextError
from rnnlm.files import atomic as storage
from rnnlm.text import files, tokenizers
from rnnlm.text.joined import Joined, TextPath
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task

_BLOCK = 1 << 22  # bytes that are checked at once
_TOKENS = 1 << 16  # taken at a time, where each becomes a Python object


@dataclass(frozen=True)
class Counts:
    """Token counts of an encoded text. `characters`: code points of the raw text. `parts`: of each file, where the
    text is several. `words`: of subwords, what stands between white space; 0: not counted."""

    tokens: int
    unknown: int
    line_ends: int
    characters: int
    parts: tuple[Counts, ...] = ()
    words: int = 0

    def json(self) -> dict[str, Any]:
        """The counts as plain data; without parts and words where there are none."""
        values = {key: value for key, value in asdict(self).items() if key != "parts" and (key != "words" or value)}
        return values | ({"parts": [part.json() for part in self.parts]} if self.parts else {})

    @staticmethod
    def of(values: dict[str, Any]) -> Counts:
        """The counts of `json`."""
        return Counts(**values | {"parts": tuple(map(Counts.of, values.get("parts", ())))})


class FileCounts(NamedTuple):
    """One of the files of a text. name: its path; weight: how often it is read; counts: of all these times."""

    name: str
    weight: int
    counts: Counts


class Corpus:
    """Token ids of one text.

    Args:
        stored: ids as they lie on disk, |V| for what is unknown.
        source: the text's name, for messages; text_hash: sha256 of its file; key: hash of both that and the
            vocabulary.
        unknown: the tokens out of the vocabulary in their order, or a file of them, one a line; None: not kept.
        joined: the files, where the text is several.
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
        joined: Joined | None = None,
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
        self.joined = joined

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

    @property
    def files(self) -> list[FileCounts]:
        """The files of the text in their order, where it is several."""
        if self.joined is None:
            return []
        pairs = zip(self.joined.parts, self.counts.parts, strict=True)
        return [FileCounts(str(part.path), part.weight, counts) for part, counts in pairs]

    def part(self, start: int, stop: int) -> Corpus:
        """Tokens [start, stop) as a text of its own; its `counts` are those of the whole."""
        return Corpus(self.stored[start:stop], self.counts, self.vocabulary, self.source, self.text_hash, self.key)


def encode(path: TextPath, vocabulary: Vocabulary, folder: str | Path, encoding: str = UTF_8) -> Task[Corpus]:
    """Encode a text into `folder`, or find it there. Yields Progress, returns a Corpus.

    Args:
        encoding: of the text, a codec's name.

    Raises:
        TextError: the text is empty, unreadable, no file or not in its encoding.
    """
    text_hash = files.sha256(path)
    found = kept(path, text_hash, vocabulary, folder, encoding)
    if found is None:
        key = _key(text_hash, vocabulary, encoding)
        ids_path, json_path = (Path(folder) / f"{key}.{end}" for end in ("ids", "json"))
        with storage.atomic_write(ids_path) as file:
            counts, checksum = yield from _write(path, vocabulary, encoding, file)
        storage.write_text(json_path, json.dumps(counts.json() | {"checksum": _with_counts(checksum, counts)}))
        found = _opened(path, text_hash, vocabulary, ids_path, counts)
    return found


def kept(
    path: TextPath, text_hash: str, vocabulary: Vocabulary, folder: str | Path, encoding: str = UTF_8
) -> Corpus | None:
    """The encoded text that lies in `folder`, None where it does not. The text itself need not be there (any more).

    Args:
        path: its name. text_hash: the sha256 of its content. encoding: of it, a codec's name.
    """
    key = _key(text_hash, vocabulary, encoding)
    ids_path, json_path = (Path(folder) / f"{key}.{end}" for end in ("ids", "json"))
    counts = _read_counts(json_path, ids_path, vocabulary)
    parts = len(path.parts) if isinstance(path, Joined) else 0
    if counts is None or len(counts.parts) != parts:
        return None
    for used in (ids_path, json_path):
        user_cache.touch(used)
    return _opened(path, text_hash, vocabulary, ids_path, counts)


def _key(text_hash: str, vocabulary: Vocabulary, encoding: str) -> str:
    read_as = "" if encoding == UTF_8 else f" {encoding}"
    return hashlib.sha256(f"{text_hash} {vocabulary.hash()}{read_as}".encode()).hexdigest()[:32]


def _opened(path: TextPath, text_hash: str, vocabulary: Vocabulary, ids_path: Path, counts: Counts) -> Corpus:
    stored, joined = np.memmap(ids_path, _dtype(vocabulary), "r"), path if isinstance(path, Joined) else None
    return Corpus(stored, counts, vocabulary, str(path), text_hash, ids_path.stem, joined=joined)


def read(path: TextPath, vocabulary: Vocabulary, folder: str | Path, encoding: str = UTF_8) -> Task[Corpus]:
    """Encode a text that is read once, forward only, so that it may be a pipe; its own tokens are kept.

    Yields Progress, returns a Corpus.

    Args:
        path: a file, several, a pipe, or "-", standard input. folder: a temporary one, for this text alone. encoding:
            of the text, a codec's name.

    Raises:
        InputError: an encoding for a vocabulary of bytes.
        TextError: the text is empty, unreadable or not in its encoding.
    """
    ids_path, unknown_path = Path(folder) / "text.ids", Path(folder) / "unknown.txt"
    with storage.atomic_write(ids_path) as file, storage.atomic_write(unknown_path) as unknown:
        counts, _ = yield from _write(path, vocabulary, encoding, file, unknown)
    stored = np.memmap(ids_path, _dtype(vocabulary), "r")
    joined = path if isinstance(path, Joined) else None
    return Corpus(stored, counts, vocabulary, files.name(path), unknown=unknown_path, joined=joined)


def _write(
    path: TextPath, vocabulary: Vocabulary, encoding: str, file: BinaryIO, spelled: BinaryIO | None = None
) -> Task[tuple[Counts, int]]:
    """Write a text's ids to `file`, and its tokens out of the vocabulary to `spelled`, one a line. Returns the counts
    and the checksum of the ids."""
    checksum, total = 0, files.size(path)
    sources = [part.path for part in path.parts] if isinstance(path, Joined) else [path]
    counted = np.zeros((len(sources), 5), np.int64)  # of each file, in the order of Counts
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
        line_ends = int((ids == vocabulary.line_end).sum())
        counted[piece.part] += (len(ids), len(positions), line_ends, piece.characters, piece.words)
        yield Progress(f"encoding {name}", piece.done, total, "bytes")
    for source, tokens in zip(sources, counted[:, 0], strict=True):
        if tokens == 0:
            raise TextError(f"{files.name(source)}: empty; give a text with at least one token")
    parts = tuple(_counts(own) for own in counted) if isinstance(path, Joined) else ()
    return _counts(counted.sum(axis=0), parts), checksum


def _counts(row: NDArray[np.int64], parts: tuple[Counts, ...] = ()) -> Counts:
    tokens, unknown, line_ends, characters, words = row.tolist()
    return Counts(tokens, unknown, line_ends, characters, parts, words)


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
        counts = Counts.of(values)
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
    return zlib.crc32(json.dumps(counts.json(), sort_keys=True).encode(), checksum)


def from_tokens(tokens: Any, characters: int, vocabulary: Vocabulary, source: str, words: int = 0) -> Corpus:
    """The corpus of a short text in memory. characters, words: as in `Counts`.

    Raises:
        TextError: no token.
    """
    ids = vocabulary.encode(tokens)
    if not len(ids):
        raise TextError(f"{source}: empty; give a text with at least one token")
    unknown = [tokens[i] for i in np.flatnonzero(ids == len(vocabulary)).tolist()]
    line_ends = int((ids == vocabulary.line_end).sum())
    counts = Counts(len(ids), len(unknown), line_ends, characters, words=words)
    return Corpus(ids.astype(_dtype(vocabulary)), counts, vocabulary, source, unknown=unknown)


def _dtype(vocabulary: Vocabulary) -> np.dtype[Any]:
    return np.dtype(np.uint16 if len(vocabulary) < 2**16 else np.int32)
