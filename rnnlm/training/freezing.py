"""Frozen parameters (``train.freeze``): they stay as they are, to the byte.

An update drops their gradients before anything reads them: they have no part in the gradient's norm, in its noise, in
weight decay, and neither moments nor an average of the weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from rnnlm.config.schema import Train
from rnnlm.errors import ConfigError
from rnnlm.network.parameters import Gradients

_T = TypeVar("_T")


def is_frozen(settings: Train, name: str) -> bool:
    """Whether the parameter with this flat name, or the layer that it belongs to, is frozen."""
    return any(f"{name}.".startswith(f"{part}.") for part in settings.freeze)


def trained(settings: Train, by_name: Mapping[str, _T]) -> dict[str, _T]:
    """What belongs to parameters that are not frozen, by flat names."""
    return {name: value for name, value in by_name.items() if not is_frozen(settings, name)}


def drop(settings: Train, gradients: Gradients) -> None:
    """Take the gradients of frozen parameters out, in place."""
    if settings.freeze:
        gradients.dense, gradients.rows = trained(settings, gradients.dense), trained(settings, gradients.rows)


def check(settings: Train, names: Collection[str]) -> None:
    """Every name in ``train.freeze`` is one of a parameter or layer, and something is left to train.

    Raises:
        ConfigError: names the first that is none.
    """
    for part in settings.freeze:
        if not any(f"{name}.".startswith(f"{part}.") for name in names):
            raise ConfigError(f"train.freeze: found {part!r}; must be one of {', '.join(_all(names))}")
    if all(is_frozen(settings, name) for name in names):
        raise ConfigError("train.freeze: all parameters are frozen; leave one out to train it")


def _all(names: Iterable[str]) -> Iterable[str]:
    """All names, each layer's own before those of its parameters."""
    return dict.fromkeys(part for name in names for part in (name.rsplit(".", 1)[0], name))
