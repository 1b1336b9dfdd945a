"""Pretrained word vectors: tables from files and tables to files.

The formats are in `rnnlm.vectors.formats`.
A token takes the row of its own name; else, the row of its lower-case form. Tokens that the file lacks:

    <unk>      the mean of the rows that were found: what an unknown word is like on average
    others     N(m, diag(s^2)), with m and s the mean and the standard deviation, by dimension, of the rows that were
               found: word vectors do not lie around 0 and differ in size by dimension, so that rows drawn
               otherwise would have nothing in common but that the file lacks them
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnlm.config.embedding import Embedding, File
from rnnlm.errors import InputError, NotFiniteError
from rnnlm.files.atomic import atomic_write
from rnnlm.vectors.counting import token_counts
from rnnlm.vectors.coverage import Coverage
from rnnlm.vectors.formats import open_vectors
from rnnlm.vectors.protocols import Corpus, Vocabulary
from rnnlm.vectors.random import DEFAULT_SCALE
from rnnlm.work import Note, Progress, Task

# How good a match is. A better one replaces a worse one; of equals, the first in the file stays.
NOT_FOUND, LOWERCASED, EXACT, SPELLED = range(4)

_ROWS_A_RECORD = 20_000


def make(
    corpus: Corpus, vocabulary: Vocabulary, settings: Embedding, seed: int, threads: int | str
) -> Task[np.ndarray]:
    """The embedding table, float32, |V| x d, from the pretrained vectors of the file `settings.file`.

    Raises:
        InputError: no such file, vectors of another size, or none of the vocabulary's words in it.
        TextError: the file is damaged; names the line or the byte.
    """
    assert isinstance(settings.init, File)
    path, scale = settings.init.path, settings.init.scale
    table, match = yield from read(path, vocabulary, settings.size)
    found = match > NOT_FOUND
    coverage = Coverage.of(found, match == LOWERCASED, token_counts(corpus, len(vocabulary)))
    if not found.any():
        raise InputError(
            f"{path}: has none of the vocabulary's {len(vocabulary)} tokens; give vectors of this language and unit"
        )
    yield Note(f"{path}: {coverage}", warning=coverage.share_of_tokens < 0.5)
    scale = DEFAULT_SCALE if scale is None else scale
    fill_missing(table, found, vocabulary.unk, scale, np.random.default_rng(seed))
    return table


def read(path: str | Path, vocabulary: Vocabulary, size: int) -> Task[tuple[np.ndarray, np.ndarray]]:
    """The file's rows for the vocabulary: table (float32, |V| x d, zero where not found), match (int8, |V|).

    The numbers of other rows are counted (in text), not read.

    Raises:
        InputError, TextError: as `make`.
    """
    wanted = _wanted(vocabulary)
    table = np.zeros((len(vocabulary), size), np.float32)
    match = np.full(len(vocabulary), NOT_FOUND, np.int8)
    with open_vectors(path) as vectors:
        if vectors.dimension != size:
            raise InputError(
                f"{path}: has {vectors.dimension} numbers a token and embedding.size is {size}; "
                f"set embedding.size to {vectors.dimension} or give another file"
            )
        total = Path(path).stat().st_size
        for number, row in enumerate(vectors.rows()):
            for token_id, quality in wanted.get(row[0], ()):
                if quality > match[token_id]:
                    table[token_id] = vectors.numbers(row)
                    match[token_id] = quality
            if number % _ROWS_A_RECORD == 0:
                yield Progress("reading vectors", vectors.position, total, "bytes")
        yield Progress("reading vectors", total, total, "bytes")
    return table, match


def _wanted(vocabulary: Vocabulary) -> dict[bytes, list[tuple[int, int]]]:
    """Token in the file -> the ids that it would do for, and how well."""
    wanted: dict[bytes, list[tuple[int, int]]] = {}
    for token_id in range(len(vocabulary)):
        bare = vocabulary.bare(token_id)
        # Vocabularies are saved by spelling, so a spelling goes first: r"\n" is the newline before a word.
        ways = {bare.lower(): LOWERCASED, bare: EXACT, vocabulary.spell(token_id): SPELLED}
        for name, quality in ways.items():
            wanted.setdefault(name.encode("utf-8", "surrogateescape"), []).append((token_id, quality))
    return wanted


def fill_missing(
    table: np.ndarray, found: np.ndarray, unk: int | None, scale: float, rng: np.random.Generator
) -> None:
    """Initialise the rows of `table` that are not `found` (bool, by id), in place, as the module says.

    With fewer than two rows found there is no deviation: N(0, scale^2) then.
    """
    rows = table[found]
    missing = np.flatnonzero(~found)
    noise = rng.standard_normal((len(missing), table.shape[1]), dtype=np.float32)
    if len(rows) >= 2:
        noise *= rows.std(axis=0, dtype=np.float64).astype(np.float32)
        noise += rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    else:
        noise *= np.float32(scale)
    table[missing] = noise
    if unk is not None and not found[unk]:
        table[unk] = rows.mean(axis=0, dtype=np.float64)


def save(path: str | Path, tokens: Sequence[str], table: np.ndarray, binary: bool = False) -> None:
    """Write word vectors in word2vec's format: "|V| d", then a token and its d numbers a line.

    In its text format nine digits give each float32 back, bit by bit; in the binary one they stand as they are.

    Args:
        tokens: by id; give spellings (``Vocabulary.spell``) where a token may be a space or a newline.
        table: float32, |V| x d.

    Raises:
        InputError: a token that the format cannot hold.
        NotFiniteError: a number of the table is not finite.
        ResourceError: the file cannot be written.
    """
    finite = np.isfinite(table).all(axis=1)
    if not finite.all():
        raise NotFiniteError(f"{path}: not written: row {int(np.argmin(finite))} of the table is not finite")
    form = "{:.9g}".format
    with atomic_write(path) as file:
        file.write(f"{table.shape[0]} {table.shape[1]}\n".encode())
        for name, row in zip(tokens, table, strict=True):
            if not name or " " in name or "\n" in name:
                raise InputError(
                    f"{path}: not written: the token {name!r} is empty or has a space or newline in it; "
                    "word2vec's format needs a spelling without"
                )
            numbers = row.astype("<f4").tobytes() if binary else " ".join(map(form, row.tolist())).encode()
            file.write(name.encode("utf-8", "surrogateescape") + b" " + numbers + b"\n")
