"""Files of n-best lists, and of references.

TSV     a header, a row a hypothesis: utterance, text, score; other columns may be there
JSONL   an object a hypothesis with these fields, or an object an utterance: {utterance, hypotheses: [{text, score}]}
Kaldi   a text, ``UTTERANCE-N word word ...`` a line, and files of costs, ``UTTERANCE-N cost`` a line, as
        nbest-to-linear writes them; a cost is a negated score

The first hypothesis of an utterance is the recogniser's own best. A hypothesis may have no word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import InputError, TextError
from rnnlm.evaluation.row_files import Row, ending, number, number_field, objects, table, text_field
from rnnlm.text import files
from rnnlm.text.lines import lines


class Names(NamedTuple):
    """Names of the columns; old_score None: there is none."""

    utterance: str = "utterance"
    text: str = "text"
    score: str = "score"
    old_score: str | None = None


class Hypothesis(NamedTuple):
    """A hypothesis as the list has it; see ``records.Weights`` for the scores."""

    utterance: str
    text: str
    score: float
    old_score: float | None
    where: str  # FILE:LINE, for messages


def read(
    path: Path, names: Names, costs: Path | None = None, old_costs: Path | None = None, encoding: str = UTF_8
) -> list[Hypothesis]:
    """The hypotheses of a file, in its order.

    Args:
        path: JSONL by its ending; with `costs` Kaldi's text; else TSV.
        costs, old_costs: Kaldi's files of acoustic and of language-model costs.
        encoding: of all of them, a codec's name.

    Raises:
        InputError: costs with columns.
        TextError: a file cannot be read or is empty; a field is missing or is not what it must be; a cost is missing.
    """
    if costs is not None:
        found = _kaldi(path, costs, old_costs, encoding)
    elif old_costs is not None:
        raise InputError("--old-costs goes with --costs, Kaldi's files; of a table --old-score names a column")
    else:
        rows = objects(path, encoding) if ending(path) == ".jsonl" else _table(path, names, encoding)
        found = [_hypothesis(row, names) for row in _flat(rows)]
    if not found:
        raise TextError(f"{files.name(path)}: empty; give at least one hypothesis")
    return found


def _table(path: Path, names: Names, encoding: str) -> Iterator[Row]:
    """The rows of a TSV file.

    Raises:
        TextError: it has one column, as Kaldi's text has.
    """
    for where, row in table(path, encoding):
        if len(row) == 1:
            needed = ", ".join(name for name in names if name is not None)
            raise TextError(
                f"{files.name(path)}: one column; a table has {needed}, and Kaldi's text goes with --costs FILE"
            )
        yield where, row


def _flat(rows: Iterable[Row]) -> Iterator[Row]:
    """A row a hypothesis, where an object may have a list of them.

    Raises:
        TextError: `hypotheses` is no list of objects.
    """
    for where, row in rows:
        if "hypotheses" not in row or isinstance(row["hypotheses"], str):
            yield where, row
            continue
        own = row["hypotheses"]
        if not isinstance(own, list) or not own or not all(isinstance(one, dict) for one in own):
            raise TextError(f"{where}: hypotheses: found {str(own)[:40]}; must be a list of objects, at least one")
        for one in own:
            yield where, {**row, **one}


def _hypothesis(given: Row, names: Names) -> Hypothesis:
    where, row = given
    utterance, text = (text_field(row, (name,), where) for name in names[:2])
    if not utterance.strip():
        raise TextError(f"{where}: {names.utterance}: empty; each hypothesis belongs to an utterance")
    old = None if names.old_score is None else number_field(row, names.old_score, where)
    return Hypothesis(utterance, text, number_field(row, names.score, where), old, where)


def _kaldi(path: Path, costs: Path, old_costs: Path | None, encoding: str) -> list[Hypothesis]:
    """The hypotheses of Kaldi's text, by their numbers.

    Raises:
        TextError: an id is not UTTERANCE-N.
    """
    found = _by_id(path, encoding)
    scores = [_scores(file, found, path, encoding) for file in (costs, old_costs) if file is not None]
    made: dict[str, list[tuple[int, Hypothesis]]] = {}
    for id, (where, text) in found.items():
        utterance, _, n = id.rpartition("-")
        if not utterance or not n.isdecimal():
            raise TextError(f"{where}: found the id {id}; must be UTTERANCE-N, N the number of the hypothesis")
        old = scores[1][id] if len(scores) > 1 else None
        made.setdefault(utterance, []).append((int(n), Hypothesis(utterance, text, scores[0][id], old, where)))
    # A file that was sorted has UTTERANCE-10 before UTTERANCE-2.
    return [hypothesis for own in made.values() for _, hypothesis in sorted(own, key=lambda one: one[0])]


def _scores(path: Path, texts: dict[str, tuple[str, str]], source: Path, encoding: str) -> dict[str, float]:
    """The negated costs of a file, of the ids of `texts`.

    Raises:
        TextError: one is no number; one is missing or belongs to no hypothesis.
    """
    found = _by_id(path, encoding)
    for id, (where, _) in found.items():
        if id not in texts:
            raise TextError(f"{where}: {id}: {files.name(source)} has no hypothesis of this id")
    for id, (where, _) in texts.items():
        if id not in found:
            raise TextError(f"{files.name(path)}: no cost of {id} ({where})")
    return {id: -number(text, f"{where}: {id}") for id, (where, text) in found.items()}


def _by_id(path: Path, encoding: str) -> dict[str, tuple[str, str]]:
    """Of each line that begins with an id, FILE:LINE and its words, with single spaces between them.

    Raises:
        TextError: an empty line; an id is there twice.
    """
    found: dict[str, tuple[str, str]] = {}
    for block in lines(path, "word", encoding):
        for line in block:
            where = f"{files.name(path)}:{line.number}"
            id, *words = line.text.split() or [""]
            if not id:
                raise TextError(f"{where}: an empty line; each line begins with an id")
            if id in found:
                raise TextError(f"{where}: the id {id} is there already ({found[id][0]}); each has one line")
            found[id] = where, " ".join(words)
    return found


def references(path: Path, names: Names, utterances: Iterable[str], encoding: str = UTF_8) -> dict[str, str]:
    """The reference of each utterance, and those of others.

    Args:
        path: TSV or JSONL by its ending, with the columns of `names`; else Kaldi's text, ``UTTERANCE word ...``.
        encoding: of it, a codec's name.

    Raises:
        TextError: the file cannot be read; an utterance has two or none.
    """
    if ending(path) in (".tsv", ".jsonl"):
        found: dict[str, str] = {}
        for where, row in objects(path, encoding) if ending(path) == ".jsonl" else table(path, encoding):
            utterance, text = (text_field(row, (name,), where) for name in names[:2])
            if utterance in found:
                raise TextError(f"{where}: a second reference of {utterance}; each utterance has one")
            found[utterance] = text
    else:
        found = {id: text for id, (_, text) in _by_id(path, encoding).items()}
    missing = [utterance for utterance in dict.fromkeys(utterances) if utterance not in found]
    if missing:
        more = f" and of {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise TextError(f"{files.name(path)}: no reference of {missing[0]}{more}; each utterance must have one")
    return found
