"""The YAML file of ``rnnlm eval --save-tuned``: what is mixed with a network, and the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar

from pydantic import Field, ValidationError

from rnnlm.config.base import NOT_BOOL, Count, NotNegative, Section
from rnnlm.errors import InputError

_S = TypeVar("_S", bound=Section)

_MOST = 1e9  # far beyond what is of use, and within what a float32 can be multiplied by


class Cache(Section):
    """The neural cache (``evaluation.neural_cache``)."""

    window: Annotated[Count, Field(description="Tokens that are remembered.")] = 500
    theta: Annotated[NotNegative, Field(le=_MOST, description="How much the likeness of states counts.")] = 0.3


class Dynamic(Section):
    """Dynamic evaluation (``evaluation.dynamic``)."""

    window: Annotated[Count, Field(description="Tokens that are scored before each step of learning.")] = 20
    rate: Annotated[float, Field(gt=0, le=_MOST, description="Of learning."), NOT_BOOL] = 1e-3
    decay: Annotated[NotNegative, Field(le=_MOST, description="Back to the trained weights, at each step.")] = 0.005


class Tuned(Section):
    """others: files of the models that the network is mixed with. cache, dynamic: None: without. weights: of the
    network, the others, the cache, dynamic evaluation, in this order; None: not given."""

    others: list[str] = Field(default_factory=list)
    cache: Optional[Cache] = None
    dynamic: Optional[Dynamic] = None
    weights: Optional[list[NotNegative]] = None


def chosen(
    tuned: Tuned,
    others: Sequence[Path],
    cache: bool,
    of_cache: Mapping[str, Any],
    dynamic: bool,
    of_dynamic: Mapping[str, Any],
    weights: str | None,
) -> Tuned:
    """What options ask for: the settings of a file, and those of single options (None: not given) over them.

    Args:
        others: files to mix with; none: those of the file. cache, dynamic: whether it is asked for.
        weights: "0.6,0.4".

    Raises:
        InputError: a value is out of its range, or of something that is not asked for; the file's weights are those
            of other models.
    """
    names = [str(other) for other in others] or tuned.others
    if weights is None and tuned.weights is not None and names != tuned.others:
        raise InputError(
            f"--tuned: its weights are those of {', '.join(tuned.others) or 'no other model'}, and --with names "
            f"{', '.join(names)}; give --weights too"
        )
    return Tuned(
        others=names,
        cache=_with(Cache, tuned.cache, "--cache", cache, of_cache),
        dynamic=_with(Dynamic, tuned.dynamic, "--dynamic", dynamic, of_dynamic),
        weights=tuned.weights if weights is None else _numbers(weights),
    )


def _with(kind: type[_S], own: _S | None, option: str, asked: bool, values: Mapping[str, Any]) -> _S | None:
    given = {key: value for key, value in values.items() if value is not None}
    if own is None and not asked:
        if given:
            raise InputError(f"{option}-{next(iter(given))} goes with {option}; give that too")
        return None
    try:
        return kind.model_validate(({} if own is None else own.model_dump()) | given)
    except ValidationError as error:
        first = error.errors()[0]
        wanted = first["msg"].replace("Input should", "must")
        raise InputError(f"{option}-{first['loc'][0]}: found {first['input']}; {wanted}") from None


def _numbers(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--weights: found {text}; must be numbers with commas between them") from None
    if not all(math.isfinite(number) and number >= 0 for number in found):
        raise InputError(f"--weights: found {text}; must be numbers of 0 or more")
    return found
