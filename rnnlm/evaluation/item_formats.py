"""Formats of the scores of a table of items: the table's own columns, and the scores behind them.

A row is a region, or a word. Of a region each column of the table has what all rows of the region have, or nothing
where they differ; the column of the word has all its words. Of a word the column of the word has that one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rnnlm.errors import InputError
from rnnlm.evaluation import score_formats
from rnnlm.evaluation.columns import parse
from rnnlm.evaluation.item_files import Item, ItemTable, Row
from rnnlm.evaluation.regions import RegionScore, ScoredSentence, summed
from rnnlm.evaluation.score_formats import DISTRIBUTION, Column
from rnnlm.evaluation.words import WordScore
from rnnlm.text.vocabulary import Vocabulary

REGION_COLUMNS: Mapping[str, Column] = {
    "words": Column("of the region", lambda row: row.words),
    "tokens": Column("of the model that the region is made of", lambda row: row.tokens),
    "unknown": Column("words any token of which was scored as <unk>", lambda row: row.unknown),
    "log_probability": Column("of the region, in nats", lambda row: row.log_probability),
    "surprisal_bits": Column("- log2 of the region's probability", lambda row: row.surprisal),
}
# A word's line and id are the table's own columns.
WORD_COLUMNS: Mapping[str, Column] = {
    name: column for name, column in score_formats.WORD_COLUMNS.items() if name not in ("line", "id", "word")
}


class ItemFormat(NamedTuple):
    """How the scores are written. name: "tsv" or "jsonl". columns: of the scores."""

    name: str
    by_word: bool
    columns: Sequence[str]
    table: ItemTable

    @property
    def details(self) -> bool:
        """Whether anything asks for the whole distribution of predictions."""
        return not set(DISTRIBUTION).isdisjoint(self.columns)

    def header(self) -> str:
        """The line before all scores."""
        names = [*map(_kept, self.table.names), *self.columns]
        return "\t".join(names) + "\n" if self.name == "tsv" else ""

    def rows(self, items: Sequence[Item], scores: Iterable[ScoredSentence]) -> str:
        """The lines of some items."""
        return "".join(f"{row}\n" for row in self._rows(items, scores))

    def _rows(self, items: Sequence[Item], scores: Iterable[ScoredSentence]) -> Iterator[str]:
        columns = WORD_COLUMNS if self.by_word else REGION_COLUMNS
        values = [columns[name].value for name in self.columns]
        names = [*self.table.names, *self.columns]
        for item, scored in zip(items, scores, strict=True):
            for cells, score in self._by_word(item, scored) if self.by_word else self._by_region(item, scored):
                own = [value(score) for value in values]
                if self.name == "jsonl":
                    yield json.dumps(dict(zip(names, [*cells, *own], strict=True)), allow_nan=False)
                else:
                    yield "\t".join([*map(_kept, cells), *map(score_formats.cell, own)])

    def _by_word(self, item: Item, scored: ScoredSentence) -> Iterator[tuple[list[str], WordScore]]:
        for row, words in zip(item.rows, scored.regions, strict=True):
            for word in words:
                yield self._with_word(row.cells, word.word), word

    def _by_region(self, item: Item, scored: ScoredSentence) -> Iterator[tuple[list[str], RegionScore]]:
        together: list[tuple[list[Row], list[WordScore]]] = []
        for row, words in zip(item.rows, scored.regions, strict=True):
            if not together or together[-1][0][-1].region != row.region:
                together.append(([], []))
            together[-1][0].append(row)
            together[-1][1].extend(words)
        for rows, words in together:
            columns = zip(*(row.cells for row in rows), strict=True)
            cells = [column[0] if len(set(column)) == 1 else "" for column in columns]
            yield self._with_word(cells, " ".join(row.text for row in rows)), summed(words)

    def _with_word(self, cells: Sequence[str], word: str) -> list[str]:
        return [*cells[: self.table.word], word, *cells[self.table.word + 1 :]]


def chosen(
    name: str, by: str | None, ids: bool, columns: str | None, vocabulary: Vocabulary, table: ItemTable
) -> ItemFormat:
    """The format that options ask for.

    Args:
        by: "word" or "region"; None: region. columns: ``--columns``; None: all but those of the whole distribution.
        vocabulary: the model's.

    Raises:
        InputError: options that do not go together; the table has a column of a score's name.
    """
    if name not in ("tsv", "jsonl"):
        raise InputError(f"--format {name} is of texts; with --input-columns it must be tsv or jsonl")
    if by == "line":
        raise InputError("--by line is of texts; with --input-columns it must be word or region")
    if ids:
        raise InputError("--ids is of texts; with --input-columns a column has the ids")
    by_word = by == "word"
    there = list(WORD_COLUMNS if by_word else REGION_COLUMNS)
    plain = [column for column in there if column not in DISTRIBUTION]
    wanted = plain if columns is None else list(parse(columns, there if vocabulary.has_whole_words else plain))
    for column in wanted:
        if column in table.names:
            raise InputError(
                f"{table.source}:1: it has a column {column} already, and so have the scores; rename it there, or "
                "name the others with --columns"
            )
    return ItemFormat(name, by_word, wanted, table)


def _kept(cell: str) -> str:
    """A cell of the table as it stood there, in quotes where it must be."""
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in '"\t\r') else cell
