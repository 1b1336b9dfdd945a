"""Own numbers for a derivation: one or several steps of an Elman network, from a YAML file.

    e: [1, 0.5]                 # 1 x d; several steps: a list of such rows. Also called x
    h0: [0.1, 0.2]              # 1 x D_h; left out: 0
    I: [[0.1, 0.2], [0.3, 0.4]] # d x D_h
    H: [[0.5, 0.6], [0.7, 0.8]] # D_h x D_h
    b1: [0, 0]                  # 1 x D_h; left out: 0
    U: [[1, 2], [3, 4]]         # D_h x |V|
    b2: [0, 0]                  # 1 x |V|; left out: 0
    target: 1                   # the index, from 0, of the token after the last step; a list: after each step
    activation: sigmoid

A single number stands for a row or a matrix of one. ``scalar_numbers`` has the network of one unit by letters of its
own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BeforeValidator, Field

from rnnlm.config import file as config_file
from rnnlm.config.base import NOT_BOOL, Section
from rnnlm.config.schema import Config
from rnnlm.errors import InputError
from rnnlm.gradients.derivation.scalar_names import ScalarNames
from rnnlm.gradients.derivation.scalar_numbers import FromOne, FromZero, Scalars
from rnnlm.gradients.derivation.targets import Activation, Target
from rnnlm.gradients.window import Window
from rnnlm.network import build
from rnnlm.network.network import Network
from rnnlm.network.parameters import B2, TABLE, U, unflatten

Array = NDArray[np.float64]


def _row(value: Any) -> Any:
    return [value] if isinstance(value, int | float) else value


def _matrix(value: Any) -> Any:
    return [[value]] if isinstance(value, int | float) else value


def _steps(value: Any) -> Any:
    """A row alone is the input of the only step."""
    one = isinstance(value, list) and not any(isinstance(row, list) for row in value)
    return [value] if one else _matrix(value)


_Number = Annotated[float, NOT_BOOL]
Row = Annotated[list[_Number], Field(min_length=1, max_length=64), BeforeValidator(_row)]
Matrix = Annotated[list[Row], Field(min_length=1, max_length=64), BeforeValidator(_matrix)]
Steps = Annotated[list[Row], Field(min_length=1, max_length=64), BeforeValidator(_steps)]


class Numbers(Section):
    """Steps of an Elman network."""

    e: Steps = Field(validation_alias=AliasChoices("e", "x"))
    h0: Row | None = None
    I: Matrix
    H: Matrix
    b1: Row | None = None
    U: Matrix
    b2: Row | None = None
    target: Target = Field(validation_alias=AliasChoices("target", "targets"))
    activation: Activation = "tanh"


class Own(NamedTuple):
    """A file's network in float64, its steps as a window of one stream, and the names of the scalar network's
    quantities (None: the network is the one with matrices)."""

    network: Network
    window: Window
    names: ScalarNames | None


def load(path: Path) -> Own:
    """The numbers of a file.

    Raises:
        ConfigError: not YAML, an unknown key, or no number where one belongs; names the line.
        InputError: a matrix of another size; names both.
    """
    found = config_file.load_section(path, Numbers, FromZero, FromOne)
    if isinstance(found, Scalars):
        if found.c is not None and len(found.c) != len(found.u):
            raise InputError(f"{path}: c: found {len(found.c)} numbers; must be as many as u has, {len(found.u)}")
        return _own(path, found.matrices(), found.target, found.activation, found.names)
    assert isinstance(found, Numbers)
    matrices = {name: _array(path, name, getattr(found, name)) for name in ("e", "I", "H", "U")}
    D_h, V = len(matrices["H"]), matrices["U"].shape[1]
    matrices |= {
        "h0": np.array([found.h0 or [0.0] * D_h]), "b1": np.array([found.b1 or [0.0] * D_h]),
        "b2": np.array([found.b2 or [0.0] * V]),
    }  # fmt: skip
    _check_sizes(path, matrices)
    return _own(path, matrices, found.target, found.activation, None)


def _check_sizes(path: Path, matrices: dict[str, Array]) -> None:
    d, D_h, V = matrices["e"].shape[1], len(matrices["H"]), matrices["U"].shape[1]
    wanted = {"H": (D_h, D_h), "h0": (1, D_h), "I": (d, D_h), "b1": (1, D_h), "U": (D_h, V), "b2": (1, V)}
    symbols = {"H": "D_h x D_h", "h0": "1 x D_h", "I": "d x D_h", "b1": "1 x D_h", "U": "D_h x |V|", "b2": "1 x |V|"}
    for name, shape in wanted.items():
        has = matrices[name].shape
        if has != shape:
            raise InputError(
                f"{path}: {name}: found {_by(has)}; must be {symbols[name]} = {_by(shape)}, where d = {d} (e has so "
                f"many numbers), D_h = {D_h} (H has so many rows) and |V| = {V} (U has so many columns)"
            )


def _own(
    path: Path, matrices: dict[str, Array], target: int | tuple[int, ...], activation: str, names: ScalarNames | None
) -> Own:
    e, h0, (D_h, V) = matrices["e"], matrices["h0"], matrices["U"].shape
    T, targets = len(e), (target,) if isinstance(target, int) else target
    if len(targets) not in ({1} if isinstance(target, int) else {T}):
        raise InputError(
            f"{path}: target: found {len(targets)} for {T} steps; must be one for each step, or a single number, "
            "which is the last step's"
        )
    if V < 2 or max(targets) >= V:
        letter = "U" if names is None else "u"
        least = f"; {letter} must have at least 2 columns, one for each token" if V < 2 else ""
        raise InputError(
            f"{path}: target: found {max(targets)}; must be one of {letter}'s columns, 0 to {V - 1}{least}"
        )
    # Row t is the input of step t; the tokens themselves say nothing here, and may be more than |V|.
    parameters = {
        TABLE: e, "cell.0.I": matrices["I"], "cell.0.H": matrices["H"], "cell.0.b1": matrices["b1"][0],
        U: matrices["U"], B2: matrices["b2"][0],
    }  # fmt: skip
    config = _config(activation, e.shape[1], D_h)
    network = Network(config, build.cells(config), build.output(config, V), unflatten(parameters))
    inputs = np.arange(T, dtype=np.int32)[:, None]
    after = np.zeros((T, 1), np.int32)
    after[T - len(targets) :, 0] = targets
    return Own(network, Window(inputs, after, np.zeros((T, 1), np.bool_), [h0], len(targets), 0), names)


def _config(activation: str, d: int, D_h: int) -> Config:
    return Config.model_validate(
        {
            "data": {"train": "none"},
            "embedding": {"size": d},
            "model": {"cell": {"type": "elman", "activation": activation}, "hidden": D_h},
            "train": {"precision": "float64", "threads": 1},
        }
    )


def _array(path: Path, name: str, rows: list[list[float]]) -> Array:
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise InputError(
            f"{path}: {name}: found rows of {lengths[0]} and of {lengths[-1]} numbers; all must be alike"
        )
    return np.array(rows, np.float64)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
