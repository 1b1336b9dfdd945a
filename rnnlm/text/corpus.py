"""An encoded text, memory-mapped, and how training and scoring walk it.

The ids lie in one file of uint16 (|V| < 65,536) or int32; a token outside the vocabulary has the id |V| there, so
that what was unknown is not forgotten. The file is named by the hashes of the text and the vocabulary; a small JSON
beside it, written last, says that it is whole.

A text begins as if a line had just ended: the input for its first token is the line end. So the input at position i
is token i - 1, and every token is predicted, the first one too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import TextError
from rnnlm.files import atomic as storage
from rnnlm.kernels.jit import jit
from rnnlm.text import files, tokenizer
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task


@dataclass(frozen=True)
class Counts:
    """What an encoded text holds. `characters`: code points of the raw text."""

    tokens: int
    unknown: int
    line_ends: int
    characters: int


class Corpus:
    """The ids of one text.

    Args:
        stored: ids as they lie on disk, |V| for what is unknown.
        source: the text's name, for messages; key: hash of the text and the vocabulary.
    """

    def __init__(
        self, stored: NDArray[Any], counts: Counts, vocabulary: Vocabulary, source: str, key: str = ""
    ) -> None:
        # A plain read-only array whatever it was: a kernel is compiled once for each kind of array.
        self.stored = np.asarray(stored)[:]
        self.stored.flags.writeable = False
        self.counts = counts
        self.vocabulary = vocabulary
        self.source = source
        self.key = key

    def __len__(self) -> int:
        return len(self.stored)

    def ids(self, start: int, stop: int) -> NDArray[np.int32]:
        """Token ids of [start, stop), the unknown as <unk>."""
        return self.vocabulary.known(self.stored[start:stop])

    def is_unknown(self, start: int, stop: int) -> NDArray[np.bool_]:
        return np.asarray(self.stored[start:stop] == len(self.vocabulary))


@dataclass(frozen=True)
class Window:
    """T steps of B streams. `inputs[t]` is what came before `targets[t]`; `reset[t]`: the state goes to 0 before step
    t; `real[t]`: false where a stream has ended and only fills the rectangle."""

    inputs: NDArray[np.int32]
    targets: NDArray[np.int32]
    reset: NDArray[np.bool_]
    real: NDArray[np.bool_]


class Streams:
    """B stretches of a text, walked in parallel.

    Args:
        starts, stops: token positions of each stretch.
        state: "reset": the state goes to 0 after every line end; "carry": never.
    """

    def __init__(self, corpus: Corpus, starts: NDArray[np.int64], stops: NDArray[np.int64], state: str) -> None:
        self.corpus = corpus
        self.starts = starts
        self.stops = stops
        self.batch = len(starts)
        self.length = int((stops - starts).max())
        self._resets = state == "reset"

    def window(self, start: int, stop: int) -> Window:
        """Steps [start, stop) of every stream; `stop` may be at most `length`."""
        shape = (stop - start, self.batch)
        inputs, targets = np.empty(shape, np.int32), np.empty(shape, np.int32)
        real = np.empty(shape, np.bool_)
        vocabulary = self.corpus.vocabulary
        unk = -1 if vocabulary.unk is None else vocabulary.unk
        _fill(
            self.corpus.stored, self.starts, self.stops, start, len(vocabulary), unk, vocabulary.line_end,
            inputs, targets, real,
        )  # fmt: skip
        reset = inputs == vocabulary.line_end if self._resets else np.zeros(shape, np.bool_)
        return Window(inputs, targets, reset, real)


@jit
def _fill(stored, starts, stops, start, outside, unk, line_end, inputs, targets, real):
    """Copies a window's tokens: targets from the text, inputs the tokens before them, the unknown as <unk>."""
    steps, batch = inputs.shape
    for b in range(batch):
        before = line_end
        first = starts[b] + start
        if 0 < first < stops[b]:
            before = np.int64(stored[first - 1])
            before = unk if before == outside else before
        for t in range(steps):
            here = first + t < stops[b]
            token = np.int64(stored[first + t]) if here else line_end
            token = unk if token == outside else token
            inputs[t, b], targets[t, b], real[t, b] = before, token, here
            before = token


def equal_streams(corpus: Corpus, batch: int, state: str) -> Streams:
    """For training: `batch` stretches of equal length; at most batch - 1 tokens at the text's end are left over.

    Raises:
        TextError: the text has fewer than `batch` tokens.
    """
    length = len(corpus) // batch
    if length == 0:
        raise TextError(f"{corpus.source}: {len(corpus)} tokens, fewer than train.batch ({batch}); lower train.batch")
    starts = np.arange(batch, dtype=np.int64) * length
    return Streams(corpus, starts, starts + length, state)


def line_streams(corpus: Corpus, batch: int, state: str) -> Streams:
    """For scoring: every token is in one stream. With state "reset" up to `batch` streams, each beginning where a
    line begins, so that no figure depends on the cut; with "carry" one stream, since each state depends on all before
    it."""
    total = len(corpus)
    cuts = [0]
    if state == "reset":
        for b in range(1, batch):
            cut = _next_line(corpus, max(cuts[-1] + 1, total * b // batch))
            if cut >= total:
                break
            cuts.append(cut)
    starts = np.array(cuts, np.int64)
    return Streams(corpus, starts, np.array([*cuts[1:], total], np.int64), state)


def _next_line(corpus: Corpus, position: int) -> int:
    """The first position at or after `position` that begins a line."""
    step = 4096
    position -= 1
    while position < len(corpus):
        found = np.flatnonzero(corpus.stored[position : position + step] == corpus.vocabulary.line_end)
        if found.size:
            return position + int(found[0]) + 1
        position += step
    return len(corpus)


def encode(path: str | Path, vocabulary: Vocabulary, folder: str | Path) -> Task[Corpus]:
    """Encode a text into `folder`, or find it there. Yields Progress, returns a Corpus.

    Raises:
        TextError: the text is empty, unreadable or not UTF-8.
    """
    key = hashlib.sha256(f"{files.sha256(path)} {vocabulary.hash()}".encode()).hexdigest()[:32]
    ids_path, json_path = Path(folder) / f"{key}.ids", Path(folder) / f"{key}.json"
    dtype = _dtype(vocabulary)
    counts = _read_counts(json_path, ids_path, dtype)
    if counts is None:
        with storage.atomic_write(ids_path) as file:
            tokens = unknown = line_ends = characters = 0
            total = files.size(path)
            for piece in tokenizer.pieces(path, vocabulary.unit, vocabulary.lowercase):
                ids = vocabulary.encode(piece.tokens)
                file.write(ids.astype(dtype).tobytes())
                tokens += len(ids)
                unknown += int((ids == len(vocabulary)).sum())
                line_ends += int((ids == vocabulary.line_end).sum())
                characters += piece.characters
                yield Progress(f"encoding {Path(path).name}", piece.done, total, "bytes")
            if tokens == 0:
                raise TextError(f"{path}: empty; give a text with at least one token")
        counts = Counts(tokens, unknown, line_ends, characters)
        storage.write_text(json_path, json.dumps(asdict(counts)))
    return Corpus(np.memmap(ids_path, dtype, "r"), counts, vocabulary, str(path), key)


def _read_counts(json_path: Path, ids_path: Path, dtype: np.dtype[Any]) -> Counts | None:
    """The counts of a whole encoded text, None when it is not there or not whole."""
    try:
        counts = Counts(**json.loads(json_path.read_text()))
        whole = ids_path.stat().st_size == counts.tokens * dtype.itemsize
    except (OSError, ValueError, TypeError):
        return None
    return counts if whole else None


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
