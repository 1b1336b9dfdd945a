"""One window of a text, with the hidden states before it, whose gradients are analysed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import TextError
from rnnlm.network import network as networks
from rnnlm.network.network import Network
from rnnlm.text.streams import Streams


@dataclass(frozen=True)
class Window:
    """T steps of B streams.

    inputs, targets: T x B int32; reset: T x B bool; states: h before the window, B x D_h a layer. Only the last
    `loss_steps` steps have a loss. `start`: where in each stream the window begins, in tokens.
    """

    inputs: NDArray[np.int32]
    targets: NDArray[np.int32]
    reset: NDArray[np.bool_]
    states: list[NDArray[np.floating]]
    loss_steps: int
    start: int

    @property
    def steps(self) -> int:
        return self.inputs.shape[0]

    @property
    def batch(self) -> int:
        return self.inputs.shape[1]

    @property
    def read(self) -> networks.Window:
        """What the network reads of it."""
        return networks.Window(self.inputs, self.reset, self.states)

    def last(self, network: Network, steps: int) -> Window:
        """The last `steps` steps, begun from the states that this window has there."""
        before = self.steps - steps
        states = self.states
        if before:
            trace = network.forward(networks.Window(self.inputs[:before], self.reset[:before], self.states))
            states = network.states_after(trace, before)
        return replace(
            self,
            inputs=self.inputs[before:], targets=self.targets[before:], reset=self.reset[before:], states=states,
            loss_steps=min(self.loss_steps, steps), start=self.start + before,
        )  # fmt: skip


def read(network: Network, streams: Streams, start: int, steps: int, loss_steps: int) -> Window:
    """Steps [start, start + steps) of every stream; what stands before them is read for its hidden states.

    Raises:
        TextError: the text has not so many tokens.
    """
    if start + steps > streams.length:
        options = [*(["--steps"] if steps > 1 else []), *(["--at"] if start else [])]
        each = f" in each of its {streams.batch} streams" if streams.batch > 1 else ""
        raise TextError(
            f"{streams.corpus.source}: {streams.length} tokens{each}; the window wants {steps}"
            + (f" after the first {start}" if start else "")
            + f"; lower {' or '.join(options)}, or give a longer text"
        )
    states = network.initial_states(streams.batch)
    for first in range(0, start, 256):
        last = min(start, first + 256)
        before = streams.window(first, last)
        trace = network.forward(networks.Window(before.inputs, before.reset, states))
        states = network.states_after(trace, last - first)
    part = streams.window(start, start + steps)
    return Window(part.inputs, part.targets, part.reset, states, loss_steps, start)
