"""The parameters of a network: a tree of named arrays.

    parameters["embedding"]["table"]     |V| x d
    parameters["cells"][0]["H"]          of the first recurrent layer; its names are the cell's own
    parameters["norms"][0]["g"]          of its layer normalisation; empty where there is none
    parameters["output"]["U"]            of the output layer

In files and in messages the same arrays have flat names: ``embedding.table``, ``cell.0.H``, ``norm.0.g``,
``output.U``.

They have one order, from the embedding up and in each layer that of its `shapes` (`in_order`). The sum of squares in
the gradient's norm, the gradient's noise and a checkpoint all follow it, so a network that is loaded trains on to the
same bytes as one that never left the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from rnnlm.network.layers import layer_norm
from rnnlm.network.protocols import Array, Arrays, Cell, OutputLayer, RowGradients

# Flat names that others ask for.
TABLE, U, B2 = "embedding.table", "output.U", "output.b2"


class Parameters(TypedDict):
    """The parameters, a tree of named arrays."""

    embedding: Arrays
    cells: list[Arrays]
    norms: list[Arrays]
    output: Arrays


def flatten(tree: Parameters) -> dict[str, Array]:
    """The same arrays by their flat names, from the embedding up."""
    flat = {f"embedding.{name}": value for name, value in tree["embedding"].items()}
    for layer, (cell, norm) in enumerate(zip(tree["cells"], tree["norms"], strict=True)):
        flat |= {f"cell.{layer}.{name}": value for name, value in cell.items()}
        flat |= {f"norm.{layer}.{name}": value for name, value in norm.items()}
    return flat | {f"output.{name}": value for name, value in tree["output"].items()}


def unflatten(flat: Mapping[str, Any]) -> Parameters:
    """The tree of arrays with flat names; undoes `flatten`."""
    layers = 1 + max((int(name.split(".")[1]) for name in flat if name.startswith("cell.")), default=-1)
    return Parameters(
        embedding=_part(flat, "embedding"),
        cells=[_part(flat, f"cell.{layer}") for layer in range(layers)],
        norms=[_part(flat, f"norm.{layer}") for layer in range(layers)],
        output=_part(flat, "output"),
    )


def in_order(tree: Parameters, cells: Sequence[Cell[Any, Any]], output: OutputLayer[Any]) -> Parameters:
    """The same arrays in the one order that parameters have everywhere."""
    return Parameters(
        embedding=tree["embedding"],
        cells=[_sorted(own, cell.shapes()) for own, cell in zip(tree["cells"], cells, strict=True)],
        norms=[_sorted(own, layer_norm.shapes(0)) for own in tree["norms"]],
        output=_sorted(tree["output"], output.shapes()),
    )


def _sorted(own: Arrays, names: Iterable[str]) -> Arrays:
    """A layer's arrays in the order of `names`; a layer may have none of them."""
    return {name: own[name] for name in names if name in own} | own


def _part(flat: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {name.removeprefix(f"{part}."): value for name, value in flat.items() if name.startswith(f"{part}.")}


@dataclass
class Gradients:
    """The gradients dJ/d(parameter), by flat names.

    Attributes:
        dense: whole arrays, in the parameters' order.
        rows: of a table of which only some rows have a gradient: their tokens, each once, and the gradient of each.
        states: dJ/d(state before the window) of each recurrent layer, B x S.
    """

    dense: dict[str, Array] = field(default_factory=dict)
    rows: dict[str, RowGradients] = field(default_factory=dict)
    states: list[Array] = field(default_factory=list)

    def arrays(self) -> list[tuple[str, Array]]:
        """Every array that holds gradients, with its parameter's name: the dense ones first."""
        return [*self.dense.items(), *((name, rows) for name, (_, rows) in self.rows.items())]
