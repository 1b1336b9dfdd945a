"""Formats of the scores of lines and of their words, as text.

    tsv         a header; text in double quotes, as pandas and R read it (``evaluation.columns``)
    jsonl       one JSON object a line, in ASCII
    kaldi       "ID LOG10" a line, the logarithm of the line's probability to the base 10
    surprisal   the words in the columns of neural-complexity (van Schijndel & Linzen 2018), with single spaces:
                word sentid sentpos wlen surp entropy entred; sentid and sentpos from 0, bits, no line ends

Numbers have all their digits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rnnlm.config.encodings import readable
from rnnlm.errors import InputError
from rnnlm.evaluation.columns import parse, quoted
from rnnlm.evaluation.lines import LineScore, ScoredLines
from rnnlm.evaluation.words import WordScore, words_of
from rnnlm.text.vocabulary import Vocabulary


class Column(NamedTuple):
    """A column of tsv and jsonl: what it says of a row (LineScore or WordScore), and how it is taken from that."""

    meaning: str
    value: Callable[[Any], object]


LINE_COLUMNS: Mapping[str, Column] = {
    "line": Column("of the text, from 1", lambda row: row.line),
    "id": Column("of the line; with --ids", lambda row: row.id),
    "log_probability": Column("of the line, in nats", lambda row: row.log_probability),
    "log10_probability": Column("the same to the base 10", lambda row: row.log10_probability),
    "tokens": Column("that were scored, the line end among them", lambda row: row.tokens),
    "unknown": Column("tokens that were scored as <unk>", lambda row: row.unknown),
    "characters": Column("code points, the line end among them", lambda row: row.characters),
    "bits_per_character": Column("- log2 of the probability by characters", lambda row: row.bits_per_character),
    "text": Column("the line without its id", lambda row: row.text),
}
WORD_COLUMNS: Mapping[str, Column] = {
    "line": Column("of the text, from 1", lambda row: row.line),
    "id": Column("of the line; with --ids", lambda row: row.id),
    "position": Column("of the word in its line, from 1", lambda row: row.position),
    "word": Column("as the text has it; </s>: the line end of a model of words", lambda row: row.word),
    "start": Column("the word's first character in the line (without its id), from 0", lambda row: row.start),
    "end": Column("the character behind its last", lambda row: row.end),
    "tokens": Column("of the model that the word is made of", lambda row: row.tokens),
    "is_unk": Column("1: any of them was scored as <unk>; else 0", lambda row: int(row.is_unk)),
    "log_probability": Column("of the word, in nats", lambda row: row.log_probability),
    "surprisal_bits": Column("- log2 of the word's probability", lambda row: row.surprisal),
    "entropy_bits": Column("of the prediction that the word was scored by", lambda row: row.entropy),
    "entropy_reduction_bits": Column(
        "by how much that is below the entropy at the word before; 0 where it is above",
        lambda row: row.entropy_reduction,
    ),
    "alternative": Column("the most probable token there, perhaps the word itself", lambda row: row.alternative),
    "alternative_bits": Column("- log2 of its probability", lambda row: row.alternative_surprisal),
}
# These need the whole distribution of each prediction.
DISTRIBUTION = ("entropy_bits", "entropy_reduction_bits", "alternative", "alternative_bits")


class Format(NamedTuple):
    """How scores are written.

    name: one of those above. by_word: rows of words instead of lines. columns: of tsv and jsonl.
    """

    name: str
    by_word: bool
    columns: Sequence[str] = ()

    @property
    def details(self) -> bool:
        """Whether anything asks for the whole distribution of predictions."""
        return self.name == "surprisal" or not set(DISTRIBUTION).isdisjoint(self.columns)

    def header(self) -> str:
        """The lines before all scores."""
        if self.name == "surprisal":
            return "word sentid sentpos wlen surp entropy entred\n"
        return "\t".join(self.columns) + "\n" if self.name == "tsv" else ""

    def rows(self, found: ScoredLines, vocabulary: Vocabulary) -> str:
        """The lines of some scores."""
        return "".join(f"{row}\n" for row in self._rows(found, vocabulary))

    def _rows(self, found: ScoredLines, vocabulary: Vocabulary) -> Iterator[str]:
        if self.name == "kaldi":
            return (f"{row.id} {row.log10_probability!r}" for row in found.summed())
        if self.name == "surprisal":
            return _surprisal(words_of(found, vocabulary, True), vocabulary)
        values = WORD_COLUMNS if self.by_word else LINE_COLUMNS
        cells = [values[name].value for name in self.columns]
        records: Iterable[LineScore | WordScore] = found.summed()
        if self.by_word:
            records = (word for words in words_of(found, vocabulary, self.details) for word in words)
        if self.name == "jsonl":
            made = (dict(zip(self.columns, (value(row) for value in cells), strict=True)) for row in records)
            return (json.dumps(_storable(row), allow_nan=False) for row in made)
        return ("\t".join([cell(value(row)) for value in cells]) for row in records)


def chosen(name: str, by_word: bool, ids: bool, columns: str | None, vocabulary: Vocabulary) -> Format:
    """The format that options ask for.

    Args:
        vocabulary: the model's.
        columns: ``--columns``; None: all but "id" where lines have none, and but `DISTRIBUTION`.

    Raises:
        InputError: options that do not go together.
    """
    if name in ("kaldi", "surprisal"):
        if by_word or columns is not None:
            option = "--columns" if columns is not None else "--by"
            raise InputError(f"--format {name} has rows and columns of its own; leave {option} out")
        if name == "kaldi" and not ids:
            raise InputError("--format kaldi is an id and a score a line; give --ids, for lines that begin so")
        if name == "surprisal" and not vocabulary.has_whole_words:
            raise InputError(
                f"--format surprisal has the entropy over words; this is a model of {vocabulary.kind}: --by word"
            )
        return Format(name, name == "surprisal")
    there = [column for column in (WORD_COLUMNS if by_word else LINE_COLUMNS) if ids or column != "id"]
    plain = [column for column in there if column not in DISTRIBUTION]
    if columns is None:
        return Format(name, by_word, plain)
    return Format(name, by_word, parse(columns, there if vocabulary.has_whole_words else plain))


def _surprisal(lines: Iterable[list[WordScore]], vocabulary: Vocabulary) -> Iterator[str]:
    for words in lines:
        for row in words:
            if row.end > row.start:
                yield (
                    f"{row.word} {row.line - 1} {row.position - 1} {len(row.word)} {row.surprisal!r} {row.entropy!r} "
                    f"{row.entropy_reduction!r}"
                )


def cell(value: object) -> str:
    """A value as a field of the table."""
    if isinstance(value, str):
        return quoted(value)
    return "" if value is None else repr(value)


def _storable(row: dict[str, object]) -> dict[str, object]:
    """A row as JSON takes it."""
    return {name: readable(value) if isinstance(value, str) else value for name, value in row.items()}
