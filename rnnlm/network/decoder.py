"""The incremental decoder: a trained network, token by token.

It is what sampling needs, without the work that pays only for whole windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network import history
from rnnlm.network.layers import embedding, layer_norm
from rnnlm.network.network import Network
from rnnlm.network.protocols import Array, Draw

# Of so small a vocabulary every token's projection is computed once, before the first step.
_FEW_TOKENS = 1024


class Decoder:
    """B streams that go on from the states that `network` has left them in.

    The weights are packed once, here: they must not change while it is used.

    Args:
        states: as ``Network.states_after`` gives them; not changed.
    """

    def __init__(self, network: Network, states: list[Array]) -> None:
        self._cells, self._output, self._threads = network.cells, network.output, network.threads
        self._norms, self._table = network.parameters["norms"], network.table
        self._workspace = Workspace(network.dtype)
        self._packed = [
            cell.pack(own, self._context(f"cell.{layer}"))
            for layer, (cell, own) in enumerate(zip(network.cells, network.parameters["cells"], strict=True))
        ]
        self._packed_output = network.output.pack(network.output_parameters, self._context("output"))
        top = len(network.cells) - 1
        self._states = [state.copy() for state in states[: top + 1]]
        self._spare = [np.empty_like(state) for state in self._states]
        self._seen = states[-1].astype(np.int32) if network.output.history else None
        self._initial = network.initial
        self._h = self._up(top, np.ascontiguousarray(states[top][:, : network.cells[top].D_h]))
        batch = states[0].shape[0]
        self._projected = [np.empty((batch, cell.projection), network.dtype) for cell in network.cells]
        # What is looked up by token: e, or what the first layer makes of it.
        self._looked_up, self._e = self._table, np.empty((batch, network.d), network.dtype)
        self._ahead = network.vocabulary_size <= _FEW_TOKENS
        if self._ahead:
            self._looked_up = np.empty((network.vocabulary_size, self._cells[0].projection), network.dtype)
            self._cells[0].project(self._packed[0], self._table, self._looked_up, self._threads)

    def step(self, tokens: NDArray[np.int32], reset: NDArray[np.bool_] | None = None) -> None:
        """Every stream reads a token; where `reset` is set, its state is the initial one before that."""
        embedding.gather(self._looked_up, tokens, self._projected[0] if self._ahead else self._e)
        if self._seen is not None:
            self._seen = history.step(self._seen, tokens, reset)
        below = self._e
        for layer, (cell, packed) in enumerate(zip(self._cells, self._packed, strict=True)):
            state, new, projected = self._states[layer], self._spare[layer], self._projected[layer]
            if reset is not None:
                state[reset] = self._initial[layer]
            if layer > 0 or not self._ahead:
                cell.project(packed, below, projected, self._threads)
            below = self._up(layer, cell.step(packed, projected, state, new, self._threads))
            self._states[layer], self._spare[layer] = new, state
        self._h = below

    def log_distribution(self) -> NDArray[np.float64]:
        """log y^ of each stream's next token, B x |V|."""
        return self._output.log_distribution(self._packed_output, self._h, self._seen, self._threads)

    def draw(self, how: Draw) -> NDArray[np.int32]:
        """The next token of each stream, B."""
        return self._output.draw(self._packed_output, self._h, self._seen, how, self._threads)

    def _context(self, part: str) -> Context:
        return Context(self._workspace.part(part), self._threads)

    def _up(self, layer: int, h: Array) -> Array:
        """A layer's output: h after layer normalisation."""
        if not self._norms[layer]:
            return h
        own = self._workspace.part(f"norm.{layer}")
        up = own.take("up", h.shape)
        layer_norm.forward(self._norms[layer], h, up, Context(own, 1))
        return up
