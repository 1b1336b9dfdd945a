"""Tables of items: sentences that stand in rows, a word or a region of several words in each.

A TSV or CSV file with a header. Three kinds of columns are named: those that tell items apart, the region's, and the
word's. The rows of one item stand together and make one sentence, and so do the rows of one region within it. A cell
may stand in double quotes, a double quote in it doubled, as pandas and R write it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import InputError, TextError
from rnnlm.text import files
from rnnlm.text.lines import Line, lines
from rnnlm.text.vocabulary import Vocabulary


class Columns(NamedTuple):
    """The names of the columns that are read. item: several, where one alone does not tell sentences apart."""

    item: tuple[str, ...]
    region: str
    word: str


class Row(NamedTuple):
    """A row of the table: its line in the file, from 1; its cells; its region; its words."""

    number: int
    cells: list[str]
    region: str
    text: str


class Item(NamedTuple):
    """A sentence."""

    rows: list[Row]


def parse(text: str) -> Columns:
    """The columns that ``--input-columns`` names: ITEM,REGION,WORD, where ITEM may be several with + between them.

    Raises:
        InputError: they are not three, or one is named twice.
    """
    names = [name.strip() for name in text.split(",")]
    if len(names) != 3 or not all(names):
        raise InputError(
            f"--input-columns: found {text!r}; must name three columns, those of the item, the region and the word, "
            "as in item,region,word"
        )
    item = tuple(name.strip() for name in names[0].split("+"))
    given = [*item, *names[1:]]
    for name in given:
        if given.count(name) > 1:
            raise InputError(f"--input-columns: {name!r} is named twice; must be different columns")
    return Columns(item, names[1], names[2])


class ItemTable:
    """A table of items, read forward once. names: all its columns, in their order; word: where the word's is.
    encoding: of the file, a codec's name.

    Raises:
        TextError: it cannot be read; it is empty; a column is not there, or there twice.
    """

    def __init__(self, path: Path, columns: Columns, vocabulary: Vocabulary, encoding: str = UTF_8) -> None:
        self.source, self.columns, self._vocabulary = files.name(path), columns, vocabulary
        self._delimiter = "," if path.name.lower().removesuffix(".gz").endswith(".csv") else "\t"
        self._blocks = lines(path, "word", encoding)
        first = next(self._blocks, None)
        if first is None:
            raise TextError(f"{self.source}: empty; give a table with a header")
        if not first[0].text.strip():
            raise TextError(f"{self.source}:1: an empty line; the first line is the header")
        self._first = first[1:]
        self.names = self._cells(first[0])
        for name in self.names:
            if self.names.count(name) > 1:
                raise TextError(f"{self.source}:1: the column {name!r} is there twice; give each its own name")
        self._item = [self._index(name) for name in columns.item]
        self._region, self.word = self._index(columns.region), self._index(columns.word)

    def blocks(self) -> Iterator[list[Item]]:
        """The items, those at once that are there whole, never none.

        Raises:
            TextError: a row with too few or too many cells, without a word, or with a literal ``</s>``; the rows of
                an item, or of a region in it, do not stand together; there is no row.
        """
        seen: set[tuple[str, ...]] = set()
        regions: set[str] = set()
        key: tuple[str, ...] | None = None
        rows: list[Row] = []
        for block in self._all():
            whole: list[Item] = []
            for line in block:
                own, row = self._row(line)
                if own != key:
                    if own in seen:
                        raise TextError(
                            f"{self.source}:{line.number}: item {' '.join(own)} comes again; the rows of an item "
                            "must stand together (several columns tell items apart as in subject+item)"
                        )
                    seen.add(own)
                    if rows:
                        whole.append(Item(rows))
                    key, rows, regions = own, [], set()
                elif row.region != rows[-1].region and row.region in regions:
                    raise TextError(
                        f"{self.source}:{line.number}: region {row.region} of item {' '.join(own)} comes again; must "
                        "stand together, and an item is one sentence (several columns tell items apart as in "
                        "item+condition)"
                    )
                rows.append(row)
                regions.add(row.region)
            if whole:
                yield whole
        if not rows:
            raise TextError(f"{self.source}: a header and no row; give at least one")
        yield [Item(rows)]

    def _all(self) -> Iterator[Sequence[Line]]:
        yield self._first
        yield from self._blocks

    def _row(self, line: Line) -> tuple[tuple[str, ...], Row]:
        """A row, and what tells its item apart."""
        where = f"{self.source}:{line.number}"
        if not line.text.strip():
            raise TextError(f"{where}: an empty line; each line is a row")
        cells = self._cells(line)
        if len(cells) != len(self.names):
            raise TextError(f"{where}: {len(cells)} columns, where the header has {len(self.names)}")
        text = " ".join(cells[self.word].split())
        if not text:
            raise TextError(f"{where}: {self.columns.word} is empty; must be a word or several")
        self._vocabulary.split(text, self.source, line.number)
        return tuple(cells[i] for i in self._item), Row(line.number, cells, cells[self._region], text)

    def _cells(self, line: Line) -> list[str]:
        try:
            return next(csv.reader([line.text], delimiter=self._delimiter, strict=True), [])
        except csv.Error as error:
            why = str(error)
            if "field larger" in why:
                why = f"a cell of more than {csv.field_size_limit():,} characters"
            elif "unexpected end" in why:
                why = "a quote is opened and not closed; a cell is one line, and a quote in it stands twice"
            else:
                why += '; a cell with a double quote in it must stand in quotes, as """"'
            raise TextError(f"{self.source}:{line.number}: {why}") from None

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise TextError(f"{self.source}:1: there is no column {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)
