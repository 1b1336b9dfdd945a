"""Scores of lines, and of items of a table, as the rows that ``rnnlm score`` writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from rnnlm.evaluation.item_formats import ItemFormat
from rnnlm.evaluation.lines import no_lines, score_lines
from rnnlm.evaluation.regions import ScoredSentence, Sentence, score_sentences
from rnnlm.evaluation.score_formats import Format
from rnnlm.network.network import Network
from rnnlm.ranks.ranks import Ranks
from rnnlm.ranks.sharing import Workers, evenly
from rnnlm.text.lines import Line
from rnnlm.text.vocabulary import Vocabulary


def line_rows(
    network: Network, vocabulary: Vocabulary, blocks: Iterable[Sequence[Line]], source: str, wanted: Format,
    ids: bool = False, line_end: bool = True, ranks: Ranks | None = None,
) -> Iterator[str]:  # fmt: skip
    """The rows of the lines of a text, those of a block before the next one is read; the header before the first.

    Args:
        source, ids, line_end: as of `score_lines`. ranks: share each block out; None: this process alone.

    Raises:
        TextError, NotFiniteError: as `score_lines`.
    """
    workers = Workers(partial(_line_rows, network, vocabulary, source, wanted, ids, line_end), ranks)
    header, some = wanted.header(), False
    for block in blocks:
        for rows in workers.results(evenly(block, [1 + len(line.text) for line in block], workers.count)):
            yield header + rows
            header, some = "", True
    if not some:
        raise no_lines(source)


def _line_rows(
    network: Network, vocabulary: Vocabulary, source: str, wanted: Format, ids: bool, line_end: bool,
    lines: Sequence[Line],
) -> str:  # fmt: skip
    (found,) = score_lines(network, vocabulary, [lines], source, ids, line_end, wanted.details)
    return wanted.rows(found, vocabulary)


def item_rows(
    network: Network, vocabulary: Vocabulary, wanted: ItemFormat, line_end: bool = True, ranks: Ranks | None = None
) -> Iterator[str]:
    """The rows of the items of a table, as `line_rows`."""
    table = wanted.table
    workers = Workers(partial(_sentences, network, vocabulary, table.source, line_end, wanted.details), ranks)
    header = wanted.header()
    for block in table.blocks():
        parts = evenly(block, [sum(1 + len(row.text) for row in item.rows) for item in block], workers.count)
        sentences = [
            [Sentence(item.rows[0].number, [row.text for row in item.rows]) for item in part] for part in parts
        ]
        for items, found in zip(parts, workers.results(sentences), strict=True):
            yield header + wanted.rows(items, found)
            header = ""


def _sentences(
    network: Network, vocabulary: Vocabulary, source: str, line_end: bool, details: bool, part: Sequence[Sentence]
) -> list[ScoredSentence]:
    return list(score_sentences(network, vocabulary, part, source, line_end, details))
