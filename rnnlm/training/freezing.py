"""Frozen parameters (``train.freeze``): they stay as they are, to the byte.

An update drops their gradients before anything reads them: they have no part in the gradient's norm, in its noise, in
weight decay, and neither moments nor an average of the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from rnnlm.config.schema import Config, Train
from rnnlm.errors import ConfigError
from rnnlm.network.parameters import TABLE, Gradients

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


def learning(config: Config, by_name: Mapping[str, _T]) -> dict[str, _T]:
    """`trained`, without a table that ``embedding.trainable`` leaves as it is."""
    found = trained(config.train, by_name)
    return {name: value for name, value in found.items() if name != TABLE or config.embedding.trainable}


def check(config: Config, shapes: Mapping[str, Any]) -> None:
    """Every name in ``train.freeze`` is one of a parameter or layer, and something is left to train.

    Args:
        shapes: of all parameters, by flat names.

    Raises:
        ConfigError: names the first that is none.
    """
    for part in config.train.freeze:
        if not any(f"{name}.".startswith(f"{part}.") for name in shapes):
            raise ConfigError(f"train.freeze: found {part!r}; must be one of {', '.join(_all(shapes))}")
    if not learning(config, shapes):
        raise ConfigError("train.freeze: all parameters are frozen; leave one out to train it")


def _all(names: Iterable[str]) -> Iterable[str]:
    """All names, those of layers before those of their parameters."""
    return dict.fromkeys(part for name in names for part in (name.split(".")[0], name.rsplit(".", 1)[0], name))
