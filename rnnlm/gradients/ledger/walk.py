"""The walk back through a window, every loss by itself.

For the losses J(t) of L steps, as L rows at once, it visits the steps s = T-1, T-2, ... and in each the layers from
the output down. A row begins at its own step with dJ(t)/dh(t), and each step of a cell sends it on
(``reference.cells_backward``): to the layer below, to the step before, and into the cell's weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import InputError
from rnnlm.gradients.window import Window
from rnnlm.network.network import Network, Trace
from rnnlm.network.protocols import Cell
from rnnlm.network.reference import layer_norm
from rnnlm.network.reference import outputs as reference_outputs
from rnnlm.network.reference.cells_backward import BACKWARD, Block, CellBackward, Step
from rnnlm.network.reference.outputs_backward import DJ_DH

Array = NDArray[np.float64]
Arrays = dict[str, Array]

_NORM = (Block("g", "", ..., None, "norm.g"), Block("b", "", ..., None, "norm.b"))


@dataclass(frozen=True)
class Layer:
    """A recurrent layer of a window of one stream of T steps, and what its weights got from L losses.

    left[name]: T x m; delta[name]: L x T x n, [i, s] what loss i sends to step s; de: L x T x d, likewise to the
    layer's input. `blocks` says which weights they belong to; those of a normalised layer include its g and b.
    """

    number: int
    cell: Cell[Any, Any]
    reference: CellBackward
    p: Arrays
    norm: Arrays  # g and b of its normalisation, empty where there is none
    steps: list[Step]
    reset: NDArray[np.bool_]  # T, where nothing goes back to the step before
    blocks: tuple[Block, ...]
    de: Array
    left: Arrays = field(default_factory=dict)
    delta: Arrays = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"cell.{self.number}"

    def flat_name(self, parameter: str) -> str:
        """The name of one of its parameters in the network."""
        return f"norm.{self.number}.{parameter}" if parameter in self.norm else f"{self.name}.{parameter}"

    def add(self, s: int, left: Arrays, delta: Arrays) -> None:
        """What step s sends to the weights: left 1 x m, delta L x n, by name."""
        losses, steps, _ = self.de.shape
        for name, row in left.items():
            self.left.setdefault(name, np.zeros((steps, row.shape[1])))[s] = row[0]
        for name, rows in delta.items():
            self.delta.setdefault(name, np.zeros((losses, steps, rows.shape[1])))[:, s] = rows


def check(network: Network) -> None:
    """Refuse a network of layers that the reference does not have.

    Raises:
        InputError: it has one.
    """
    for cell in network.cells:
        if type(cell) not in BACKWARD:
            raise InputError(_refusal("cell", cell))
    if type(network.output) not in DJ_DH:
        raise InputError(_refusal("output layer", network.output))


def _refusal(what: str, layer: object) -> str:
    name = type(layer).__name__
    return f"gradients: no backward reference of this network's {what}, {name} (gradcheck takes any)"


def walk(network: Network, window: Window, trace: Trace) -> tuple[list[Layer], Array]:
    """Every layer with what its weights got, and J(t) of the losses (L), in nats.

    Args:
        window: of one stream; trace: of its forward pass, whose states are taken over in float64.
    """
    first = window.steps - window.loss_steps
    targets = window.targets[first:, 0]
    layers, up = _layers(network, window, trace)
    p = {name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in _output(network)}
    history = None if trace.seen is None else trace.seen[first:, 0]
    log_y_hat = reference_outputs.log_y_hat(network.output, p, up[first:], history)
    from_output = DJ_DH[type(network.output)](network.output, p, up[first:], targets, history)

    later = [np.zeros((window.loss_steps, layer.cell.state_size)) for layer in layers]  # dJ/d(state) by step s+1
    for s in range(window.steps - 1, -1, -1):
        from_above = np.zeros_like(from_output)
        if s >= first:
            from_above[s - first] = from_output[s - first]
        for layer, d_state in zip(reversed(layers), reversed(later), strict=True):
            step, D_h = layer.steps[s], layer.cell.D_h
            if layer.norm:
                h = step.after[:, :D_h]
                layer.add(s, {}, {"norm.g": from_above * layer_norm.normal(h)[0], "norm.b": from_above})
                from_above = layer_norm.backward(layer.norm, h, from_above)
            d_state[:, :D_h] += from_above
            back = layer.reference.back(layer.cell, layer.p, step, d_state)
            layer.add(s, back.left, back.delta)
            layer.de[:, s] = from_above = back.de
            # Where a line has ended before step s, step s did not see the state before: nothing goes back.
            d_state[:] = 0 if layer.reset[s] else back.d_before
    return layers, -log_y_hat[np.arange(len(targets)), targets]


def _output(network: Network) -> list[tuple[str, NDArray[Any]]]:
    return list(network.output_parameters.items())


def _layers(network: Network, window: Window, trace: Trace) -> tuple[list[Layer], Array]:
    """The layers before the walk, and what the output layer reads, T x D_h."""
    layers = []
    up = network.table[window.inputs[:, 0]].astype(np.float64)
    for number, cell in enumerate(network.cells):
        of_cell, norm = (
            {name: value.astype(np.float64) for name, value in network.parameters[part][number].items()}
            for part in ("cells", "norms")
        )
        states = _states(network, window, trace, number)
        steps = [Step(*(row[None] for row in rows)) for rows in zip(states[0], up, states[1], strict=True)]
        reference = BACKWARD[type(cell)]
        blocks = reference.blocks(cell) + (_NORM if norm else ())
        de = np.zeros((window.loss_steps, *up.shape))
        layers.append(Layer(number, cell, reference, of_cell, norm, steps, window.reset[:, 0], blocks, de))
        h = states[1][:, : cell.D_h]
        up = layer_norm.forward(norm, h) if norm else h
    return layers, up


def _states(network: Network, window: Window, trace: Trace, number: int) -> tuple[Array, Array]:
    """The state that each step saw, and the one after it, T x S each, as the kernels had them."""
    cell, of_cell = network.cells[number], trace.layers[number].cell
    after = np.concatenate([cell.state_after(of_cell, t) for t in range(window.steps)])
    before = np.concatenate([window.states[number], after[:-1]])
    before[window.reset[:, 0]] = network.initial[number]
    return before.astype(np.float64), after.astype(np.float64)
