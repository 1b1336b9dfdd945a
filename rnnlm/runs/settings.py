"""Settings of runs by dotted names, and those that differ between runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnlm.config.fingerprint import LEFT_OUT
from rnnlm.config.schema import Config

Settings = Mapping[str, Any]

# Vocabularies are compared by their content.
_VOCABULARY, _VECTORS = "vocab.file", "embedding.init.path"


def of(config: Config) -> dict[str, Any]:
    """Every key of a configuration with its value, such as ``model.cell.type``, but those `LEFT_OUT` and the file of
    the vocabulary; of the file of word vectors the name without its folder."""
    found = dict(_flat(config.model_dump()))
    found.pop(_VOCABULARY, None)
    return found | {_VECTORS: Path(found[_VECTORS]).name} if found.get(_VECTORS) else found


def _flat(section: Mapping[str, Any], within: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in section.items():
        key = f"{within}{name}"
        if key in LEFT_OUT:
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def aligned(runs: Sequence[Settings]) -> list[Settings]:
    """The settings with a section that is null in some runs (``train.average``) as the null type of it there, so that
    it stands beside the types of the others."""
    typed = {key.removesuffix(".type") for run in runs for key in run if key.endswith(".type")}
    return [{f"{key}.type" if key in typed else key: value for key, value in run.items()} for run in runs]


def differing(runs: Sequence[Settings]) -> tuple[str, ...]:
    """The keys of `aligned` settings with two values or more, in the configuration's order.

    Of an option that some runs do not have, since their section has another type, only those that have it count: the
    type tells the others apart.
    """
    keys = dict.fromkeys(key for run in runs for key in run)
    return tuple(key for key in keys if any(run[key] != _first(key, runs) for run in runs if key in run))


def divided(keys: Iterable[str], runs: Sequence[Settings]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The keys that tell some runs from each other or, where only some runs have them, from those of other groups;
    and the settings that all of these runs have in common.

    Args:
        keys: that differ between all runs there are.
    """
    held = [key for key in keys if any(key in run for run in runs)]
    shared = {
        key: _first(key, runs) for key in held if all(key in run and run[key] == _first(key, runs) for run in runs)
    }
    return tuple(key for key in held if key not in shared), shared


def _first(key: str, runs: Sequence[Settings]) -> Any:
    return next(run[key] for run in runs if key in run)
