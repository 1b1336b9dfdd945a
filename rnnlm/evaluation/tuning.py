"""Tuning of the cache and of dynamic evaluation on a held-out text (the validation text)."""

from __future__ import annotations

import itertools
import math

import numpy as np

from rnnlm.config.tuned import Cache, Dynamic
from rnnlm.errors import NotFiniteError
from rnnlm.evaluation.dynamic import DynamicPredictor
from rnnlm.evaluation.mixture import NetworkPredictor, by_em, mixed
from rnnlm.evaluation.neural_cache import cached
from rnnlm.network.network import Network
from rnnlm.text.corpus import Corpus
from rnnlm.work import Note, Task

_WINDOWS = (100, 500, 2000)
_THETAS = (0.03, 0.06, 0.1, 0.2, 0.3, 0.5, 0.8, 1.5, 3.0, 6.0)
_CACHED = 100_000  # tokens of the text, from its beginning
# Dynamic evaluation takes long, so it is tuned on the beginning of the text, from where many networks are good: a
# setting is changed by its factor, up or down, as long as that gains some nats a token.
_TOKENS, _FACTORS, _GAIN = 20_000, {"rate": 2.0, "decay": 4.0}, 1e-4
_LOWEST_RATE = 1e-9


def tune_cache(network: Network, text: Corpus, state: str) -> Task[Cache]:
    """The cache of a grid with which the network's mixture is best. Yields Progress and a Note."""
    several = [Cache(window=window, theta=theta) for window, theta in itertools.product(_WINDOWS, _THETAS)]
    text = text.part(0, min(len(text), _CACHED))
    plain = yield from NetworkPredictor("the network", network).log_probabilities(text, state)
    losses = []
    for row in (yield from cached(network, text, state, several)):
        both = np.stack([plain, row])
        losses.append(-float(mixed(both, by_em(both)).mean()))
    best = several[int(np.argmin(losses))]
    yield Note(
        f"cache: window {best.window}, theta {best.theta:g} are the best of {len(several)} settings: perplexity "
        f"{_perplexity(min(losses))} with the network, {_perplexity(-float(plain.mean()))} without"
    )
    return best


def tune_dynamic(predictor: DynamicPredictor, text: Corpus, state: str) -> Task[Dynamic]:
    """The rate and decay with which dynamic evaluation is best by itself. Yields Progress and a Note a setting.

    Args:
        predictor: has the settings to begin with; those found are left in it.

    Raises:
        NotFiniteError: none of the settings gives a finite perplexity.
    """
    begin = text.part(0, min(len(text), _TOKENS))
    losses: dict[Dynamic, float] = {}

    def loss(settings: Dynamic) -> Task[float]:
        if settings not in losses:
            predictor.settings = settings
            try:
                found = yield from predictor.log_probabilities(begin, state)
                losses[settings] = -float(found.mean())
            except NotFiniteError:  # the rate was too high
                losses[settings] = math.inf
            yield Note(
                f"dynamic: rate {settings.rate:g}, decay {settings.decay:g}: perplexity "
                f"{_perplexity(losses[settings])} on {len(begin):,} tokens"
            )
        return losses[settings]

    best, changed = predictor.settings, True
    least = yield from loss(best)
    while not math.isfinite(least) and best.rate > _LOWEST_RATE:
        best = best.model_copy(update={"rate": best.rate / _FACTORS["rate"]})
        least = yield from loss(best)
    while changed:
        changed = False
        for name, way in itertools.product(_FACTORS, (1, -1)):
            while True:
                other = best.model_copy(update={name: getattr(best, name) * _FACTORS[name] ** way})
                if not (yield from loss(other)) < least - _GAIN:
                    break
                best, least, changed = other, losses[other], True
    if not math.isfinite(least):
        raise NotFiniteError("dynamic evaluation: no perplexity is finite, whatever the rate; is the model trained?")
    predictor.settings = best
    return best


def _perplexity(loss: float) -> str:
    return f"{math.exp(loss):.2f}" if loss < 700 else "not finite"
