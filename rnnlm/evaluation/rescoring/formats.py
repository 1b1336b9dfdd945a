"""Formats of rescored hypotheses, as text.

    tsv     a header and a row a hypothesis; text in double quotes, as pandas and R read it (``evaluation.columns``)
    jsonl   an object a hypothesis, in ASCII
    kaldi   ``UTTERANCE word word ...``, the best hypothesis of each utterance

Numbers have all their digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rnnlm.errors import InputError
from rnnlm.evaluation.columns import quoted
from rnnlm.evaluation.rescoring.nbest_files import Hypothesis
from rnnlm.evaluation.rescoring.records import RescoredHypothesis
from rnnlm.evaluation.row_files import ending

COLUMNS: Mapping[str, str] = {
    "utterance": "as the list has it",
    "hypothesis": "its number in the list of its utterance, from 1",
    "text": "of the hypothesis",
    "score": "of the recogniser",
    "old_score": "of the recogniser's language model; where the list has one",
    "log_probability": "of the network, in nats, the line end included",
    "words": "between white space",
    "unknown": "tokens that were scored as <unk>",
    "total": "score + weight log_probability + penalty words + old_weight old_score",
    "rank": "by total in the list of its utterance; 1: the best",
}


def of_list(path: Path, kaldi: bool) -> str:
    """The format of a list. kaldi: whether it is Kaldi's."""
    return "kaldi" if kaldi else "jsonl" if ending(path) == ".jsonl" else "tsv"


def check(name: str, hypotheses: Sequence[Hypothesis]) -> None:
    """Check that hypotheses can be written in a format.

    Raises:
        InputError: an utterance's name has white space in it, which Kaldi's text cannot have.
    """
    for one in hypotheses if name == "kaldi" else ():
        if one.utterance.split() != [one.utterance]:
            raise InputError(
                f"{one.where}: the utterance {one.utterance!r} has white space in it; --format kaldi takes none"
            )


def rows(name: str, best: bool, found: Sequence[RescoredHypothesis]) -> Iterator[str]:
    """The lines.

    Args:
        best: the best hypothesis of each utterance alone.
    """
    some = [row for row in found if row.rank == 1] if best or name == "kaldi" else found
    columns = [column for column in COLUMNS if column != "old_score" or found[0].old_score is not None]
    if name == "tsv":
        yield "\t".join(columns) + "\n"
    for row in some:
        if name == "kaldi":
            yield " ".join([row.utterance, *row.text.split()]) + "\n"
            continue
        values = asdict(row)
        if name == "tsv":
            cells = (values[column] for column in columns)
            yield "\t".join(quoted(cell) if isinstance(cell, str) else repr(cell) for cell in cells) + "\n"
        else:
            yield json.dumps({column: values[column] for column in columns}) + "\n"
