"""Files of minimal pairs: two sentences that differ in what makes one of them ungrammatical.

JSONL   an object a line, in BLiMP's names (Warstadt et al. 2020): sentence_good, sentence_bad, and what kind of
        pair it is: linguistics_term, or UID
TSV     a header with the same names, or good, bad, phenomenon
text    two files: the good sentences, a line each, and the bad ones
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import InputError, TextError
from rnnlm.evaluation.row_files import ending, objects, table, text_field
from rnnlm.text import files
from rnnlm.text.lines import lines

_GOOD, _BAD = ("sentence_good", "good"), ("sentence_bad", "bad")
_KIND = ("linguistics_term", "phenomenon", "UID")


class Pair(NamedTuple):
    """Two sentences."""

    good: str
    bad: str
    phenomenon: str
    where: str  # FILE:LINE, for messages


def read(paths: Sequence[Path], kind: str | None = None, encoding: str = UTF_8) -> list[Pair]:
    """The pairs of all files.

    Args:
        paths: JSONL and TSV files by their endings, or two other files: good and bad sentences.
        kind: the field by which pairs are told apart; None: the first of linguistics_term, phenomenon and UID that is
            there, or the file's name.
        encoding: of the files, a codec's name.

    Raises:
        InputError: neither such files nor two others.
        TextError: a file cannot be read; a row that is none; a field is missing; files of different length.
    """
    known = [ending(path) in (".jsonl", ".tsv") for path in paths]
    if all(known) and paths:
        found = [pair for path in paths for pair in _of_file(path, kind, encoding)]
        if not found:
            raise TextError(f"{', '.join(map(files.name, paths))}: empty; give at least one pair")
        return found
    if len(paths) == 2 and not any(known):
        return _of_two(paths[0], paths[1], encoding)
    raise InputError("give files that end in .jsonl or .tsv, or two texts: the good sentences and the bad ones")


def _of_two(good: Path, bad: Path, encoding: str) -> list[Pair]:
    if files.name(good) == files.name(bad) == "standard input":
        raise InputError("-: standard input can be one file alone; give the good sentences and the bad ones as two")
    left, right = ([line.text for block in lines(path, "word", encoding) for line in block] for path in (good, bad))
    if len(left) != len(right):
        raise TextError(
            f"{good} has {len(left):,} lines and {bad} {len(right):,}, where line i of one goes with line i of the "
            "other; give texts of as many lines"
        )
    if not left:
        raise TextError(f"{good}: empty; give at least one pair")
    pairs = zip(left, right, strict=True)
    return [_pair(one, other, good.stem, f"{good}:{i}") for i, (one, other) in enumerate(pairs, 1)]


def _of_file(path: Path, kind: str | None, encoding: str) -> Iterator[Pair]:
    rows = objects(path, encoding) if ending(path) == ".jsonl" else table(path, encoding)
    for where, row in rows:
        good, bad = (text_field(row, names, where) for names in (_GOOD, _BAD))
        names = _KIND if kind is None else (kind,)
        named = kind is not None or any(name in row for name in _KIND)
        phenomenon = text_field(row, names, where) if named else Path(path.name.removesuffix(".gz")).stem
        yield _pair(good, bad, phenomenon, where)


def _pair(good: str, bad: str, phenomenon: str, where: str) -> Pair:
    if good.split() == bad.split():
        raise TextError(f"{where}: both sentences are the same")
    if not good.strip() or not bad.strip():
        raise TextError(f"{where}: an empty sentence")
    return Pair(good, bad, phenomenon, where)
