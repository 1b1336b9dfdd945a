"""The neural cache: against a few lines of NumPy, and never a look ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import config, network

from rnnlm.config.tuned import Cache
from rnnlm.evaluation import neural_cache
from rnnlm.evaluation.mixture import NetworkPredictor, evaluate_mixture
from rnnlm.evaluation.neural_cache import CachePredictor
from rnnlm.network.network import Network, Window
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end

WORDS = Vocabulary([*"abcdefg", "<unk>", "</s>"], [1] * 9, "word", False)


def text(ids: np.ndarray) -> Corpus:
    return corpus.from_tokens([[*WORDS.tokens, "strange"][id] for id in ids], 1, WORDS, "text")


def drawn(tokens: int = 300) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 10, tokens)


def slow(net: Network, read: Corpus, state: str, window: int, theta: float) -> np.ndarray:
    """Token by token."""
    ids = read.ids(0, len(read)).tolist()
    states, before, remembered, found = net.initial_states(1), WORDS.line_end, [], []
    for id in ids:
        reset = np.array([[state == "reset" and before == WORDS.line_end]])
        trace = net.forward(Window(np.array([[before]], np.int32), reset, states))
        h, states = trace.up[0, 0].copy(), net.states_after(trace, 1)
        weights = np.array([np.exp(theta * (h @ key)) for key, _ in remembered[-window:]])
        same = np.array([token == id for _, token in remembered[-window:]], bool)
        found.append(weights[same].sum() / weights.sum() if same.any() else 0.0)
        remembered.append((h, id))
        before = id
    return np.array(found)


@every_cell
@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize(("window", "together"), [(1, 7), (20, 7), (20, 512), (1000, 64)])
def test_every_token_as_one_by_one(
    model: dict[str, Any], state: str, window: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neural_cache, "_TOGETHER", together)
    net, read = network(config(model=model, layers=2), 9, deviation=0.6), text(drawn(120))
    predictor = CachePredictor(net, Cache(window=window, theta=0.7))
    found = np.exp(run_to_end(predictor.log_probabilities(read, state)))
    np.testing.assert_allclose(found, slow(net, read, state, window, 0.7), rtol=1e-9, atol=1e-15)


def test_it_never_looks_ahead() -> None:
    """Another token at place t changes no score before t; at t and behind it does."""
    net, ids = network(config(), 9, deviation=0.6), drawn()
    predictor = CachePredictor(net, Cache(window=50, theta=0.7))
    wanted = run_to_end(predictor.log_probabilities(text(ids), "carry"))
    for t in (0, 1, 100, 299):
        other = ids.copy()
        other[t] = (ids[t] + 1) % 7
        found = run_to_end(predictor.log_probabilities(text(other), "carry"))
        np.testing.assert_array_equal(found[:t], wanted[:t])
        if 0 < t < 299:
            assert (found[t + 1 :] != wanted[t + 1 :]).any()


def test_states_that_are_very_like() -> None:
    """Weights of e^(theta h h) beyond what a float64 holds."""
    net, read = network(config(), 9, deviation=3), text(drawn())
    found = run_to_end(CachePredictor(net, Cache(window=50, theta=1e4)).log_probabilities(read, "carry"))
    assert not np.isnan(found).any()
    assert (found <= 1e-12).all()


def test_what_repeats_is_more_probable_with_it() -> None:
    net = network(config(), 9, deviation=0.6)
    read = text(np.tile([0, 1, 2, 3, 4, 8], 60))
    parts = [NetworkPredictor("net", net), CachePredictor(net, Cache(window=100, theta=1))]
    found = run_to_end(evaluate_mixture(parts, read, "carry", [0.5, 0.5], None))
    assert found.parts[1].alone is None, "the first token is impossible to a cache"
    assert found.parts[0].alone is not None
    assert found.together.perplexity < 0.6 * found.parts[0].alone.perplexity


def test_several_settings_at_once_are_each_alone() -> None:
    net, read = network(config(), 9, deviation=0.6), text(drawn())
    several = [Cache(window=window, theta=theta) for window in (5, 60, 1000) for theta in (0.2, 2)]
    together = run_to_end(neural_cache.cached(net, read, "carry", several))
    for row, own in zip(together, several, strict=True):
        alone = run_to_end(CachePredictor(net, own).log_probabilities(read, "carry"))
        np.testing.assert_allclose(row, alone, rtol=1e-12)
