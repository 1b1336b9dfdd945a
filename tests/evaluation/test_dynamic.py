"""Dynamic evaluation: against a few lines of NumPy, and never a look ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import config, network

from rnnlm.config.tuned import Cache, Dynamic
from rnnlm.errors import NotFiniteError
from rnnlm.evaluation import dynamic, tuning
from rnnlm.evaluation.dynamic import DynamicPredictor
from rnnlm.evaluation.mixture import NetworkPredictor, by_em, mixed
from rnnlm.evaluation.neural_cache import CachePredictor
from rnnlm.evaluation.tuning import tune_cache, tune_dynamic
from rnnlm.network.network import Network, Window
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note, run_to_end

WORDS = Vocabulary([*"abcdefg", "<unk>", "</s>"], [1] * 9, "word", False)
LINE_END = WORDS.line_end
SETTINGS = Dynamic(window=7, rate=0.05, decay=0.2)


def text(ids: np.ndarray) -> Corpus:
    return corpus.from_tokens([[*WORDS.tokens, "strange"][id] for id in ids], 1, WORDS, "text")


def drawn(tokens: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 10, tokens)


def scores(net: Network, read: Corpus, state: str = "carry", settings: Dynamic = SETTINGS) -> np.ndarray:
    return run_to_end(DynamicPredictor(net, text(drawn(90, 1)), settings).log_probabilities(read, state))


def gradients(net: Network, ids: list[int], before: int, state: str, states: list[Any]) -> tuple[Any, Any, Any]:
    """log y^ of a window's tokens, whole gradients of all parameters, and the states after it."""
    inputs = np.array([before, *ids[:-1]], np.int32)[:, None]
    targets = np.array(ids, np.int32)[:, None]
    trace = net.forward(Window(inputs, (inputs == LINE_END) & (state == "reset"), states))
    log_p, after = net.scores(trace, targets).log_probability[:, 0].copy(), net.states_after(trace, len(ids))
    _, found = net.backward(trace, targets, len(ids))
    whole = {name: g.copy() for name, g in found.dense.items()}
    for name, (tokens, rows) in found.rows.items():
        whole[name] = np.zeros_like(net.named[name])
        whole[name][tokens] = rows
    return log_p, whole, after


def roots(net: Network, ids: list[int], state: str, window: int) -> dict[str, np.ndarray]:
    """r of a training text of one stretch."""
    squares: dict[str, Any] = dict.fromkeys(net.named, 0.0)
    states, count = net.initial_states(1), 0
    for start in range(0, len(ids), window):
        before = LINE_END if start == 0 else ids[start - 1]
        _, whole, states = gradients(net, ids[start : start + window], before, state, states)
        squares = {name: sums + whole[name] ** 2 for name, sums in squares.items()}
        count += 1
    return {name: np.sqrt(sums / count) for name, sums in squares.items()}


def slow(net: Network, read: Corpus, training: Corpus, state: str, settings: Dynamic) -> np.ndarray:
    """Changes the network's weights."""
    r = roots(net, training.ids(0, len(training)).tolist(), state, settings.window)
    mean = np.concatenate([one.ravel() for one in r.values()]).mean()
    trained = {name: w.copy() for name, w in net.named.items()}
    ids, states, found, before = read.ids(0, len(read)).tolist(), net.initial_states(1), [], LINE_END
    for start in range(0, len(ids), settings.window):
        some = ids[start : start + settings.window]
        log_p, whole, states = gradients(net, some, before, state, states)
        found.append(log_p)
        before = some[-1]
        for name, w in net.named.items():
            back = np.minimum(1, settings.decay * r[name] / mean)
            w += back * (trained[name] - w) - settings.rate * whole[name] / (r[name] + mean)
    return np.concatenate(found)


@every_cell
@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize("tie", [False, True])
def test_every_token_as_one_by_one(
    model: dict[str, Any], state: str, tie: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamic, "_STRETCHES", 1)
    settings = config(model=model, layers=2, tie=tie)
    read, training = text(drawn(120)), text(drawn(90, 1))
    predictor = DynamicPredictor(network(settings, 9, deviation=0.6), training, SETTINGS)
    wanted = slow(network(settings, 9, deviation=0.6), read, training, state, SETTINGS)
    found = run_to_end(predictor.log_probabilities(read, state))
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    plain = run_to_end(NetworkPredictor("net", predictor.network).log_probabilities(read, state))
    np.testing.assert_allclose(found[:7], plain[:7], rtol=1e-12)
    assert (np.abs(found - plain)[7:] > 1e-6).all(), "it learnt"
    np.testing.assert_array_equal(run_to_end(predictor.log_probabilities(read, state)), found)


@pytest.mark.parametrize("threads", [1, 2])
def test_it_never_looks_ahead(threads: int) -> None:
    """Another token at place t changes no score before t; behind it does."""
    net, ids = network(config(threads=threads), 9, deviation=0.6), drawn(100)
    wanted = scores(net, text(ids))
    for t in (0, 1, 6, 7, 8, 50, 98):
        other = ids.copy()
        other[t] = (ids[t] + 1) % 7
        found = scores(net, text(other))
        np.testing.assert_array_equal(found[:t], wanted[:t])
        assert (found[t + 1 :] != wanted[t + 1 :]).all()


def test_the_network_is_left_as_it_was() -> None:
    net = network(config(), 9, deviation=0.6)
    before = {name: w.copy() for name, w in net.named.items()}
    scores(net, text(drawn(100)))
    for name, w in net.named.items():
        np.testing.assert_array_equal(w, before[name])


def test_what_repeats_is_learnt() -> None:
    net = network(config(), 9, deviation=0.6)
    log_p = scores(net, text(np.tile([0, 1, 2, 3, 4, 8], 60)), settings=Dynamic(window=7, rate=0.1, decay=0))
    assert log_p[-60:].mean() > 0.2 * log_p[:60].mean()


def test_the_stretches_lie_all_over_the_training_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """r of two stretches is that of their windows together; each begins with the initial state."""
    monkeypatch.setattr(dynamic, "_STRETCHES", 2)
    monkeypatch.setattr(dynamic, "_WINDOWS", 3)
    net, training = network(config(), 9, deviation=0.6), text(drawn(100, 1))
    predictor = DynamicPredictor(net, training, SETTINGS)
    run_to_end(predictor.log_probabilities(text(drawn(7)), "carry"))
    ids, squares = training.ids(0, 100).tolist(), []
    for start in (0, 79):
        states, before = net.initial_states(1), LINE_END if start == 0 else ids[start - 1]
        for first in range(start, start + 21, 7):
            _, whole, states = gradients(net, ids[first : first + 7], before, "carry", states)
            squares.append({name: g**2 for name, g in whole.items()})
            before = ids[first + 6]
    found = predictor._roots[7]
    for name in net.named:
        np.testing.assert_allclose(found.of[name] ** 2, sum(one[name] for one in squares) / 6, rtol=1e-9, atol=1e-20)


def test_embeddings_that_are_not_trained_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """And do not count in the mean of r."""
    monkeypatch.setattr(dynamic, "_STRETCHES", 1)
    settings = config(model={"layers": 1})
    frozen = settings.model_copy(update={"embedding": settings.embedding.model_copy(update={"trainable": False})})
    read, training = text(drawn(60)), text(drawn(90, 1))
    predictor = DynamicPredictor(network(frozen, 9, deviation=0.6), training, SETTINGS)
    found = run_to_end(predictor.log_probabilities(read, "carry"))
    r = roots(network(settings, 9, deviation=0.6), training.ids(0, 90).tolist(), "carry", 7)
    del r["embedding.table"]
    assert predictor._roots[7].of.keys() == r.keys()
    mean = np.concatenate([one.ravel() for one in r.values()]).mean()
    assert predictor._roots[7].mean == pytest.approx(mean, rel=1e-9)
    assert (found[7:] != scores(network(settings, 9, deviation=0.6), read)[7:]).any()


def test_a_rate_that_is_far_too_high() -> None:
    with pytest.raises(NotFiniteError, match="far too large; lower --dynamic-rate"):
        scores(network(config(), 9), text(drawn(100)), settings=Dynamic(window=7, rate=1e6))


def test_tuning_begins_at_a_rate_that_is_far_too_high() -> None:
    net, read = network(config(), 9, deviation=0.6), text(drawn(100))
    predictor = DynamicPredictor(net, text(drawn(90, 1)), Dynamic(window=7, rate=1e6))
    assert run_to_end(tune_dynamic(predictor, read, "carry")).rate < 1


def test_the_cache_is_tuned_to_the_best_of_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_WINDOWS", (5, 30))
    monkeypatch.setattr(tuning, "_THETAS", (0.1, 1.0))
    net, read = network(config(), 9, deviation=0.6), text(np.repeat(drawn(40), 3) % 9)
    plain = run_to_end(NetworkPredictor("net", net).log_probabilities(read, "carry"))
    losses = {}
    for own in (Cache(window=window, theta=theta) for window in (5, 30) for theta in (0.1, 1.0)):
        both = np.stack([plain, run_to_end(CachePredictor(net, own).log_probabilities(read, "carry"))])
        losses[own] = -mixed(both, by_em(both)).mean()
    notes: list[Any] = []
    best = run_to_end(tune_cache(net, read, "carry"), notes.append)
    assert losses[best] == min(losses.values())
    (note,) = (one for one in notes if isinstance(one, Note))
    assert f"perplexity {np.exp(min(losses.values())):.2f} with the network, {np.exp(-plain.mean()):.2f} without" in (
        note.text
    )


def test_dynamic_evaluation_is_tuned_until_no_step_helps() -> None:
    net, read = network(config(), 9, deviation=0.6), text(np.tile([0, 1, 2, 3, 4, 8], 40))
    predictor = DynamicPredictor(net, text(drawn(90, 1)), Dynamic(window=7))
    notes: list[Any] = []
    best = run_to_end(tune_dynamic(predictor, read, "carry"), notes.append)
    assert predictor.settings == best

    def loss(rate: float, decay: float) -> float:
        return -scores(net, read, settings=Dynamic(window=7, rate=rate, decay=decay)).mean()

    least = loss(best.rate, best.decay)
    assert least < 0.8 * loss(1e-3, 0.005)
    for rate, decay in ((2, 1), (0.5, 1), (1, 4), (1, 0.25)):
        assert loss(best.rate * rate, best.decay * decay) >= least - 1e-4
    tried = [note.text for note in notes if isinstance(note, Note)]
    assert len(tried) == len(set(tried)) > 5
    assert any(f"perplexity {np.exp(least):.2f} on 240 tokens" in note for note in tried)
