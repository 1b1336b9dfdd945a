"""A trained network, token by token: what sampling needs, without the work that pays only for whole windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels.workspace import Workspace
from rnnlm.network.layers import embedding
from rnnlm.network.layers import layer_norm as normalization
from rnnlm.network.network import TABLE, Network

# Of so small a vocabulary every token's projection is computed once, before the first step.
_FEW_TOKENS = 1024


class Stepper:
    """B streams that go on from the states that `network` has left them in.

    The weights are packed once, here: they must not change while it is used.

    Args:
        states: of every layer, as ``Network.states_after`` gives them; not changed.
    """

    def __init__(self, network: Network, states: list[NDArray[np.floating]]) -> None:
        self._cell, self._output, self._workers = network.cell, network.output, network.threads
        workspace = Workspace(network.dtype)
        self._layers = [
            network.cell.ready(own, network.config.model, workspace.part(f"cell.{layer}"))
            for layer, own in enumerate(network.layers)
        ]
        self._output_packed = network.output.ready(network.output_parameters, workspace.part("output"))
        self._states = [state.copy() for state in states]
        self._spare = [np.empty_like(state) for state in states]
        self._norms = network.norms
        self._workspace = workspace
        self._h = self._up(len(states) - 1, np.ascontiguousarray(states[-1][:, : network.config.model.sizes[-1]]))
        batch, table = states[0].shape[0], network.parameters[TABLE]
        self._projected = [np.empty((batch, own["I"].shape[1]), network.dtype) for own in network.layers]
        self._z = np.empty((batch, network.vocabulary_size), network.dtype)
        # What is looked up by token: e, or what the first layer makes of it.
        self._looked_up, self._e = table, np.empty((batch, network.d), network.dtype)
        self._ahead = network.vocabulary_size <= _FEW_TOKENS
        if self._ahead:
            self._looked_up = np.empty((network.vocabulary_size, self._projected[0].shape[1]), network.dtype)
            self._cell.project(self._layers[0], table, self._looked_up, self._workers)

    def step(self, tokens: NDArray[np.int32], reset: NDArray[np.bool_] | None = None) -> None:
        """Every stream reads a token; where `reset` is set, its state is 0 before that."""
        embedding.gather(self._looked_up, tokens, self._projected[0] if self._ahead else self._e)
        below = self._e
        for layer, packed in enumerate(self._layers):
            state, new, projected = self._states[layer], self._spare[layer], self._projected[layer]
            if reset is not None:
                state[reset] = 0
            if layer > 0 or not self._ahead:
                self._cell.project(packed, below, projected, self._workers)
            below = self._up(layer, self._cell.step(packed, projected, state, new, self._workers))
            self._states[layer], self._spare[layer] = new, state
        self._h = below

    def _up(self, layer: int, h: NDArray[np.floating]) -> NDArray[np.floating]:
        """What goes up from a layer's h."""
        if not self._norms[layer]:
            return h
        own = self._workspace.part(f"norm.{layer}")
        up = own.take("up", h.shape)
        normalization.forward(self._norms[layer], h, up, own, 1)
        return up

    def logits(self) -> NDArray[np.floating]:
        """z2 of each stream's next token, or other logits of the same y^, B x |V|; lives until the next call."""
        self._output.step(self._output_packed, self._h, self._z, self._workers)
        return self._z

    def log_probability(self) -> NDArray[np.float64]:
        """log y^ of each stream's next token, B x |V|."""
        return np.asarray(self._output.log_softmax(self.logits()))

    def draw(self, temperature: float, without: int, uniforms: NDArray[np.float64]) -> NDArray[np.int32]:
        """The next token of each stream; see ``outputs.softmax.draw``."""
        found: NDArray[np.int32] = self._output.draw(self.logits(), temperature, without, uniforms, self._workers)
        return found
