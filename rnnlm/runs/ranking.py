"""The ranking of runs: in groups whose perplexities can be compared, the best first."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnlm.errors import InputError, ModelError
from rnnlm.runs import folders, reading, settings
from rnnlm.runs.records import Group, Ranking, RunSummary
from rnnlm.work import Note, Task

_UNITS = {"word": "words", "char": "characters", "byte": "bytes", "subword": "subwords"}

# What --sort takes beside the keys of the configuration; of these the smallest value comes first.
COLUMNS: dict[str, Callable[[RunSummary], Any]] = {
    "validation": lambda run: run.best_perplexity,
    "test": lambda run: run.test_perplexity,
    "epoch": lambda run: run.best_epoch,
    "parameters": lambda run: run.parameters,
    "time": lambda run: run.seconds,
    "state": lambda run: run.state,
    "name": lambda run: run.name,
}


def rank(places: Iterable[Path], sort: str = "validation") -> Task[Ranking]:
    """Rank the runs that lie in some folders. Yields a Note for each that is left out, returns a Ranking.

    Args:
        places: as of ``folders.find``. sort: one of `COLUMNS`, or a key of the configuration.

    Raises:
        InputError: no run is left; no run has the key `sort`.
    """
    found, problems = _read(places)
    if not found:
        if len(problems) == 1:
            raise ModelError(problems[0])
        yield from (Note(problem, warning=True) for problem in problems)
        raise ModelError(f"no run in any of these {len(problems)} places; give the folders that rnnlm train has made")
    yield from (Note(problem, warning=True) for problem in problems)
    runs = _comparable(found)
    key = _sort_key(sort, runs)
    differ = settings.differing([run.settings for run in runs])
    by_group: dict[Hashable, list[RunSummary]] = {}
    for run in runs:
        by_group.setdefault((_valid(run), run.tokens), []).append(run)
    named = _labels((_valid(run), run.text_names.get("valid", "")) for run in runs)
    spelled = _labels((run.tokens, _tokens(run)) for run in runs)
    groups = []
    for members in by_group.values():
        own, shared = settings.divided(differ, [run.settings for run in members])
        valid = _valid(members[0])
        title = None if valid is None else named[valid]
        groups.append(Group(title, spelled[members[0].tokens], tuple(sorted(members, key=key)), own, shared))
    return Ranking(tuple(groups), tuple(_notes(groups)))


def _read(places: Iterable[Path]) -> tuple[list[RunSummary], list[str]]:
    """The runs, each once, by name, whatever the order of the places; and what is said of those that cannot be
    read."""
    problems, paths = [], dict[str, Path]()
    for place in places:
        try:
            runs, unreadable = folders.find(place)
        except ModelError as error:
            problems.append(str(error))
            continue
        problems += unreadable
        for path in runs:
            paths.setdefault(os.path.realpath(path), path)
    above = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    found = []
    for real, path in sorted(paths.items()):
        try:
            found.append(reading.read(path, os.path.relpath(real, above)))
        except ModelError as error:
            problems.append(str(error))
    return found, problems


def _comparable(found: Sequence[RunSummary]) -> list[RunSummary]:
    """The runs with settings of the same keys, the training text among them: by its content, whatever its place."""
    trained_on = _labels((run.texts.get("train", ""), run.text_names.get("train", "")) for run in found)
    aligned = settings.aligned([run.settings for run in found])
    return [
        replace(run, settings={"data.train": trained_on[run.texts.get("train", "")], **own})
        for run, own in zip(found, aligned, strict=True)
    ]


def _valid(run: RunSummary) -> str | None:
    """The hash of a run's validation text, None without one. An older version kept no hash: the folder's own then."""
    if "valid" in run.texts or run.best_perplexity is None:
        return run.texts.get("valid")
    return run.folder


def _tokens(run: RunSummary) -> str:
    return f"{run.vocabulary:,} {_UNITS[run.unit]}" + (" in lower case" if run.lowercase else "")


def _labels(pairs: Iterable[tuple[str | None, str]]) -> dict[str, str]:
    """A name for each of some hashes: the first one given, with the hash where another one has that name."""
    names = dict[str, str]()
    for key, name in pairs:
        if key is not None:
            names.setdefault(key, name)
    taken = list(names.values())
    return {key: name if taken.count(name) == 1 else f"{name} ({key[:8]})" for key, name in names.items()}


def _sort_key(sort: str, runs: Sequence[RunSummary]) -> Callable[[RunSummary], tuple[Any, ...]]:
    """What runs are sorted by: `sort`, then the validation perplexity, then the name; what is not known is last."""
    if sort not in COLUMNS and not any(sort in run.settings for run in runs):
        raise InputError(
            f"--sort: found {sort}; must be one of {', '.join(COLUMNS)}, or a key of the configuration such as "
            "train.learning_rate"
        )
    value = COLUMNS.get(sort, lambda run: run.settings.get(sort))
    return lambda run: (_ordered(value(run)), _ordered(run.best_perplexity), run.name)


def _ordered(value: Any) -> tuple[int, Any]:
    """Numbers before texts, and what is not there last."""
    if value is None or value == math.inf:
        return 2, 0
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def _notes(groups: Sequence[Group]) -> list[str]:
    """What keeps the figures of these runs from being compared."""
    notes = []
    if len(groups) > 1:
        notes.append(
            f"{len(groups)} tables: these runs have different validation texts or vocabularies, so perplexities are "
            "ranked within each table and not between them"
        )
    for group in groups:
        tested = {run.texts.get("test") for run in group.runs if run.test_perplexity is not None}
        if len(tested) > 1:
            notes.append(
                f"the runs of {group.valid} have different test texts: compare their validation perplexities alone"
            )
    return notes
