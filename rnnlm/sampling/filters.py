"""Filters of the next token's distribution, in the order in which they are applied.

    repetition penalty r   log y^_j := log y^_j * r for every token j that stands in the sample or its prompt already
                           (Keskar et al. 2019, on log-probabilities, which are never positive)
    no repeat              no token that would complete an n-gram which stands there already     (``repeats``)
    temperature T          log y^ / T;  T = 0 takes the most probable token
    top-k                  only the k most probable                                        (Fan et al. 2018)
    top-p                  only the fewest that together have probability p                (Holtzman et al. 2020)
    min-p                  only those with at least p times the largest probability        (Nguyen et al. 2024)

The last three work in place on p, |V| probabilities that need not add up to 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def penalised(log_probability: NDArray[np.float64], seen: NDArray[np.bool_], penalty: float) -> NDArray[np.float64]:
    """log y^ (B x |V|) after the repetition penalty; finite, however large that is. `seen`: B x |V|."""
    with np.errstate(over="ignore"):
        lowered = np.maximum(log_probability * penalty, np.finfo(np.float64).min)
    return np.where(seen, lowered, log_probability)


def forbid(log_probability: NDArray[np.float64], tokens: list[int]) -> None:
    """Leave these tokens out of log y^ (|V|), in place; none of them where nothing else would be left."""
    before = log_probability[tokens]
    log_probability[tokens] = -np.inf
    if log_probability.max() == -np.inf:
        log_probability[tokens] = before


def tempered(log_probability: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities at a temperature, not normalised, from log y^ (|V|). The largest is 1; at temperature 0
    all others are 0."""
    if temperature == 0:
        p = np.zeros_like(log_probability)
        p[log_probability.argmax()] = 1
        return p
    # Shifted before it is divided: at any temperature above 0 the most probable token keeps exp(0) = 1.
    with np.errstate(over="ignore"):
        return np.exp((log_probability - log_probability.max()) / temperature)


def top_k(p: NDArray[np.float64], k: int) -> None:
    """Leave the k most probable tokens."""
    if k < p.size:
        p[_rarest_first(p)[:-k]] = 0


def top_p(p: NDArray[np.float64], mass: float) -> None:
    """Leave the fewest tokens that together have the share `mass` of all probability."""
    order = _rarest_first(p)[::-1]
    before = np.cumsum(p[order]) - p[order]
    p[order[before >= mass * p.sum()]] = 0


def min_p(p: NDArray[np.float64], share: float) -> None:
    """Leave the tokens with at least `share` times the largest probability."""
    p[p < share * p.max()] = 0


def _rarest_first(p: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order by rising probability; of equals the higher id first, so that a cut is the same everywhere."""
    return p.size - 1 - np.argsort(p[::-1], kind="stable")
