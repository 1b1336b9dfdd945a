"""Own numbers for a derivation: one step of an Elman network, from a YAML file.

    e: [1, 0.5]                 # 1 x d
    h0: [0.1, 0.2]              # 1 x D_h; left out: 0
    I: [[0.1, 0.2], [0.3, 0.4]] # d x D_h
    H: [[0.5, 0.6], [0.7, 0.8]] # D_h x D_h
    b1: [0, 0]                  # 1 x D_h; left out: 0
    U: [[1, 2], [3, 4]]         # D_h x |V|
    b2: [0, 0]                  # 1 x |V|; left out: 0
    target: 1                   # the index, from 0, of the token that comes
    activation: sigmoid

A single number stands for a row or a matrix of one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from rnnlm.config import file as config_file
from rnnlm.config.base import NOT_BOOL, NotNegativeCount, Section
from rnnlm.config.schema import Config
from rnnlm.errors import InputError
from rnnlm.gradients.window import Window
from rnnlm.network import build
from rnnlm.network.network import Network
from rnnlm.network.parameters import B2, TABLE, U, unflatten

Array = NDArray[np.float64]


def _row(value: Any) -> Any:
    return [value] if isinstance(value, int | float) else value


def _matrix(value: Any) -> Any:
    return [[value]] if isinstance(value, int | float) else value


_Number = Annotated[float, NOT_BOOL]
Row = Annotated[list[_Number], Field(min_length=1, max_length=64), BeforeValidator(_row)]
Matrix = Annotated[list[Row], Field(min_length=1, max_length=64), BeforeValidator(_matrix)]


class Numbers(Section):
    """One step of an Elman network."""

    e: Row
    h0: Row | None = None
    I: Matrix
    H: Matrix
    b1: Row | None = None
    U: Matrix
    b2: Row | None = None
    target: NotNegativeCount
    activation: Literal["tanh", "sigmoid", "relu"] = "tanh"


def load(path: Path) -> tuple[Network, Window]:
    """The network of a file's numbers, in float64, and its step.

    Raises:
        ConfigError: not YAML, an unknown key, or no number where one belongs; names the line.
        InputError: a matrix of another size; names both.
    """
    found = config_file.load_section(path, Numbers)
    matrices = {name: _array(path, name, getattr(found, name)) for name in ("I", "H", "U")}
    d, D_h, V = len(found.e), len(matrices["H"]), matrices["U"].shape[1]
    rows = {
        "h0": np.array(found.h0 or [0.0] * D_h), "b1": np.array(found.b1 or [0.0] * D_h),
        "b2": np.array(found.b2 or [0.0] * V),
    }  # fmt: skip
    wanted = {"H": (D_h, D_h), "h0": (D_h,), "I": (d, D_h), "b1": (D_h,), "U": (D_h, V), "b2": (V,)}
    symbols = {"H": "D_h x D_h", "h0": "1 x D_h", "I": "d x D_h", "b1": "1 x D_h", "U": "D_h x |V|", "b2": "1 x |V|"}
    for name, shape in wanted.items():
        has = (matrices | rows)[name].shape
        if has != shape:
            raise InputError(
                f"{path}: {name}: found {_by(has)}; must be {symbols[name]} = {_by(shape)}, where d = {d} (e has so "
                f"many numbers), D_h = {D_h} (H has so many rows) and |V| = {V} (U has so many columns)"
            )
    if V < 2 or found.target >= V:
        least = "; U must have at least 2 columns, one for each token" if V < 2 else ""
        raise InputError(f"{path}: target: found {found.target}; must be one of U's columns, 0 to {V - 1}{least}")
    table = np.zeros((V, d))
    table[0] = found.e
    parameters = {
        TABLE: table, "cell.0.I": matrices["I"], "cell.0.H": matrices["H"], "cell.0.b1": rows["b1"],
        U: matrices["U"], B2: rows["b2"],
    }  # fmt: skip
    network = build.build(_config(found, d, D_h), unflatten(parameters))
    tokens = np.zeros((1, 1), np.int32)
    state = [rows["h0"][None, :]]
    return network, Window(tokens, tokens + np.int32(found.target), np.zeros((1, 1), np.bool_), state, 1, 0)


def _config(found: Numbers, d: int, D_h: int) -> Config:
    return Config.model_validate(
        {
            "data": {"train": "none"},
            "embedding": {"size": d},
            "model": {"cell": {"type": "elman", "activation": found.activation}, "hidden": D_h},
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
    return " x ".join(map(str, shape if len(shape) > 1 else (1, *shape)))
