"""Mixtures of predictors by linear interpolation.

    p(w | h) = sum_k lambda_k p_k(w | h)          the lambda_k 0 or more, with the sum 1

The weights lambda are given, or those that make a held-out text (the validation text) most probable, found by EM:

    lambda_k <- 1/N sum_t lambda_k p_k(t) / sum_j lambda_j p_j(t)          (Jelinek & Mercer 1980)

A predictor is whatever gives log p of every token of an encoded text: a network, an n-gram model.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import InputError, NotFiniteError
from rnnlm.evaluation.perplexity import evaluation_of
from rnnlm.evaluation.records import Mixture, Part
from rnnlm.network.network import Network
from rnnlm.network.scoring import score
from rnnlm.text.corpus import Corpus
from rnnlm.work import Note, Progress, Task

_ROUNDS, _CHANGE = 1000, 1e-7


class Predictor(Protocol):
    """Gives log p of every token of an encoded text, in nats and in the text's order."""

    @property
    def name(self) -> str: ...

    @property
    def numbers(self) -> str:
        """Its settings, in words; empty: it has none."""
        ...

    def log_probabilities(self, text: Corpus, state: str) -> Task[NDArray[np.float64]]:
        """Yields Progress. state: "carry" or "reset", where it makes a difference."""


@dataclass
class NetworkPredictor:
    """A network as a predictor."""

    name: str
    network: Network
    numbers = ""

    def log_probabilities(self, text: Corpus, state: str) -> Task[NDArray[np.float64]]:
        found, done = np.empty(len(text)), 0
        for part in score(self.network, text, state):
            found[part.position] = part.log_probability
            done += len(part.position)
            yield Progress(f"scoring by {self.name}", done, len(text), "tokens")
        return found


def trained_otherwise(name: str, network: Network, state: str) -> Note | None:
    """What is said of a network that is scored with another state at line ends than it was trained with."""
    own = network.config.state
    text = f"{name} was trained with the state {own}, and is scored with {state}: --state {own} scores all models so"
    return None if own == state else Note(text, warning=True)


def evaluate_mixture(
    predictors: Sequence[Predictor],
    text: Corpus,
    state: str,
    weights: Sequence[float] | None,
    held_out: Corpus | None,
) -> Task[Mixture]:
    """Perplexity of the mixture and of each predictor alone. Yields Progress, returns a Mixture.

    Args:
        weights: of the predictors, of any sum; None: by EM on `held_out`.

    Raises:
        InputError: weights that are none, or with which a token is impossible; neither weights nor a held-out text.
        NotFiniteError: a log-probability is not a number.
    """
    tuned = weights is None
    if weights is not None:
        shares = checked(weights, len(predictors))
    elif held_out is None:
        raise InputError("there is no held-out text to find the weights on; give them")
    else:
        shares = by_em((yield from _all(predictors, held_out, state)))
    began = time.perf_counter()
    log_p = yield from _all(predictors, text, state)
    seconds = time.perf_counter() - began
    alone = [evaluation_of(row, text, state, seconds) if np.isfinite(row).all() else None for row in log_p]
    all_together = mixed(log_p, shares)
    if not np.isfinite(all_together).all():
        raise InputError("--weights: a token is impossible then; give the model itself a weight above 0")
    together = evaluation_of(all_together, text, state, seconds)
    parts = zip(predictors, shares.tolist(), alone, strict=True)
    return Mixture(together, tuple(Part(one.name, share, found, one.numbers) for one, share, found in parts), tuned)


def checked(weights: Sequence[float], count: int) -> NDArray[np.float64]:
    """The weights, divided by their sum.

    Raises:
        InputError: there are not `count`, one is below 0 or no number, or all are 0.
    """
    found = np.array(weights, np.float64)
    if len(found) != count or not np.isfinite(found).all() or (found < 0).any() or found.max(initial=0) == 0:
        listed = ",".join(map(str, weights))
        raise InputError(f"--weights: found {listed}; must be {count} numbers of 0 or more, the model's first")
    found /= found.max()  # the sum of very large numbers would be infinite
    return found / found.sum()


def by_em(log_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights that make a text most probable. log_p: predictors x tokens."""
    highest = log_p.max(axis=0)
    possible = np.isfinite(highest)
    p = np.exp(log_p[:, possible] - highest[possible])
    shares = np.full(len(p), 1 / len(p))
    for _ in range(_ROUNDS):
        own = shares[:, None] * p
        new = (own / np.maximum(own.sum(axis=0), np.finfo(np.float64).tiny)).mean(axis=1)
        change, shares = np.abs(new - shares).max(), new
        if change < _CHANGE:
            break
    return shares / shares.sum()


def mixed(log_p: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """log sum_k lambda_k p_k of each token."""
    with np.errstate(divide="ignore"):
        weighted = np.log(shares)[:, None] + log_p
    return np.asarray(np.logaddexp.reduce(weighted, axis=0))


def _all(predictors: Sequence[Predictor], text: Corpus, state: str) -> Task[NDArray[np.float64]]:
    rows = []
    for one in predictors:
        found = yield from one.log_probabilities(text, state)
        if np.isnan(found).any():
            raise NotFiniteError(f"{one.name}: a log-probability is not a number: its weights are far too large")
        rows.append(found)
    return np.stack(rows)
