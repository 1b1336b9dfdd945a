"""Dynamic evaluation (Krause et al. 2018): the network goes on learning from the text that it scores.

The text is read in windows. A window is scored first, and learnt from then, by the gradient g of its loss:

    w := w - rate g / (r + m) + min(1, decay r / m) (w0 - w)            every parameter by itself

r is the root of the mean square that this parameter's gradient had over windows of the training text, so that what
learnt fast in training learns fast now, and m the mean of r over all parameters that are trained; w0 is the trained
weight, which w decays to. (The paper has a small constant where m stands below g. A parameter that hardly any
training window had a gradient for would go much too far with it.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.tuned import Dynamic
from rnnlm.errors import NotFiniteError
from rnnlm.kernels.cpu import UPDATED_NUMBERS, useful_threads
from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.thread_pool import parallel
from rnnlm.network.network import Network, Trace, Window
from rnnlm.network.parameters import Gradients, flatten, unflatten
from rnnlm.network.protocols import Arrays
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import Streams
from rnnlm.work import Progress, Task

# The mean squares are those of so many stretches of the training text, of so many windows each.
_STRETCHES, _WINDOWS = 25, 20
# The mean log y^ of a window below which its perplexity is beyond a float.
_WORST = -700.0


class _Roots(NamedTuple):
    """r of each parameter that is trained, by its flat name, and m."""

    of: Arrays
    mean: float


@dataclass
class DynamicPredictor:
    """As ``evaluation.mixture.Predictor``. Each text begins with the trained weights, and a copy of them learns.

    training: the text that the mean squares of the gradient are of.
    """

    network: Network
    training: Corpus
    settings: Dynamic
    _roots: dict[int, _Roots] = field(default_factory=dict)  # by the window's length

    name = "dynamic evaluation"

    @property
    def numbers(self) -> str:
        own = self.settings
        return f"window {own.window}, rate {own.rate:g}, decay {own.decay:g}"

    def log_probabilities(self, text: Corpus, state: str) -> Task[NDArray[np.float64]]:
        roots = yield from self._roots_for(self.settings.window, state)
        learning, found = _copied(self.network), np.empty(len(text))
        moved: dict[str, NDArray[np.bool_]] = {}
        for part in _windows(learning, text, state, 0, len(text), self.settings.window):
            log_probability = learning.scores(part.trace, part.targets).log_probability[:, 0]
            if not log_probability.mean() > _WORST:
                raise NotFiniteError(
                    f"{self.name}: after {part.start:,} tokens the weights are far too large; lower --dynamic-rate"
                )
            found[part.start : part.stop] = log_probability
            _, gradients = learning.backward(part.trace, part.targets, len(part.targets))
            self._learn(learning, gradients, roots, moved)
            yield Progress(f"scoring by {self.name}", part.stop, len(text), "tokens")
        return found

    def _learn(
        self, learning: Network, gradients: Gradients, roots: _Roots, moved: dict[str, NDArray[np.bool_]]
    ) -> None:
        """One step of the weights of `learning`. moved: of each table that has gradients as rows, which of its rows
        have left the trained weights: the others have nothing to decay to."""
        rate, decay = self.settings.rate, self.settings.decay
        for name, w in learning.named.items():
            if name not in gradients.dense and name not in gradients.rows:
                continue  # it is not trained
            r, trained, number = roots.of[name], self.network.named[name], w.dtype.type
            numbers = number(decay / roots.mean), number(rate), number(roots.mean)
            some = useful_threads(learning.threads, w.size, UPDATED_NUMBERS)
            if name in gradients.dense:
                g = gradients.dense[name]
                _step(some, *(array.reshape(-1) for array in (w, trained, r, g)), *numbers)
            else:
                tokens, g = gradients.rows[name]
                rows = moved.setdefault(name, np.zeros(len(w), np.bool_))
                _decay(some, w, trained, r, np.flatnonzero(rows), numbers[0])
                w[tokens] -= numbers[1] * g / (r[tokens] + numbers[2])
                rows[tokens] = True

    def _roots_for(self, window: int, state: str) -> Task[_Roots]:
        """Of windows of this length."""
        if window not in self._roots:
            text = self.training
            squares: Arrays = {}
            length, done = window * _WINDOWS, 0
            starts = np.unique(np.linspace(0, max(0, len(text) - length), _STRETCHES).astype(np.int64))
            for number, start in enumerate(starts.tolist(), 1):
                stop = min(start + length, len(text))
                for part in _windows(self.network, text, state, start, stop, window):
                    done += 1
                    _, gradients = self.network.backward(part.trace, part.targets, len(part.targets))
                    for name in (*gradients.dense, *gradients.rows):
                        squares.setdefault(name, np.zeros_like(self.network.named[name]))
                    for name, g in gradients.dense.items():
                        _add_squares(self.network.threads, squares[name].reshape(-1), g.reshape(-1))
                    for name, (tokens, g) in gradients.rows.items():
                        squares[name][tokens] += np.square(g)
                yield Progress("gradients of the training text", number, len(starts), "stretches")
            of = {name: np.sqrt(sums / self.network.dtype.type(done)) for name, sums in squares.items()}
            total = sum(float(r.sum(dtype=np.float64)) for r in of.values())
            mean = total / sum(r.size for r in of.values())
            if not (math.isfinite(mean) and mean > 0):
                raise NotFiniteError(f"{self.name}: the gradients of the training text are not finite, or all 0")
            self._roots[window] = _Roots(of, mean)
        return self._roots[window]


class _Window(NamedTuple):
    """The forward pass over [start, stop) of a text."""

    start: int
    stop: int
    trace: Trace  # lives until the next one
    targets: NDArray[np.int32]  # T x 1


def _windows(network: Network, text: Corpus, state: str, start: int, stop: int, length: int) -> Iterator[_Window]:
    """The windows of [start, stop) of a text, read in its order; the weights may change between them."""
    streams = Streams(text, np.array([start]), np.array([stop]), state)
    states = network.initial_states(1)
    for first in range(0, stop - start, length):
        part = streams.window(first, min(first + length, stop - start))
        tokens = len(part.inputs)
        with network.lock:
            trace = network.forward(Window(part.inputs, part.reset, states))
            states = network.states_after(trace, tokens)
            yield _Window(start + first, start + first + tokens, trace, part.targets)


def _copied(network: Network) -> Network:
    """The same network with weights of its own."""
    weights = unflatten({name: w.copy() for name, w in flatten(network.parameters).items()})
    return Network(
        network.config, network.cells, network.output, weights, network.threads, network.tables, network.initial
    )


@parallel
def _step(thread, w, trained, r, g, decay, rate, mean):
    """One step of a parameter, all flat. decay: by m, as in `_decay`."""
    start, stop = partition(thread, w.size, 16)
    one = w.dtype.type(1)
    for j in range(start, stop):
        w[j] += min(decay * r[j], one) * (trained[j] - w[j]) - rate * g[j] / (r[j] + mean)


@parallel
def _decay(thread, w, trained, r, rows, decay):
    """The same without a gradient, of some rows of a table."""
    start, stop = partition(thread, rows.size, 1)
    one = w.dtype.type(1)
    for i in range(start, stop):
        own, own_trained, own_r = w[rows[i]], trained[rows[i]], r[rows[i]]
        for j in range(own.size):
            own[j] += min(decay * own_r[j], one) * (own_trained[j] - own[j])


@parallel
def _add_squares(thread, squares, g):
    start, stop = partition(thread, g.size, 16)
    for j in range(start, stop):
        squares[j] += g[j] * g[j]
