"""Mixtures: sums of probabilities, weights by EM, and what cannot be mixed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from networks import config, network
from scipy.optimize import minimize_scalar

from rnnlm.errors import InputError, NotFiniteError
from rnnlm.evaluation.mixture import NetworkPredictor, by_em, checked, evaluate_mixture, mixed
from rnnlm.evaluation.perplexity import evaluate
from rnnlm.ngram.kneser_ney import estimate
from rnnlm.ngram.predictor import NGramPredictor
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task, run_to_end

WORDS = Vocabulary([*"abcdefg", "<unk>", "</s>"], [1] * 9, "word", False)


def text(seed: int, tokens: int = 400) -> Corpus:
    words = [*WORDS.tokens, "strange"]
    drawn = np.random.default_rng(seed).integers(0, 10, tokens)
    return corpus.from_tokens([words[id] for id in drawn], 900, WORDS, "text")


class Impossible:
    """A predictor that knows one token."""

    name, numbers = "one", ""

    def log_probabilities(self, read: Corpus, state: str) -> Task[np.ndarray]:
        yield Progress("", 0, 1, "")
        return np.where(read.stored == 0, 0.0, -np.inf)


def predictors() -> list[Any]:
    nets = [NetworkPredictor(f"net{seed}", network(config(), 9, seed, 0.3)) for seed in (0, 1)]
    read = text(9, 3000)
    return [*nets, NGramPredictor("3-gram", estimate(read.ids(0, len(read)), 3, 9, WORDS.line_end))]


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_a_mixture_is_the_sum_of_probabilities(state: str) -> None:
    parts, read = predictors(), text(1)
    found = run_to_end(evaluate_mixture(parts, read, state, [1, 2, 1], None))
    rows = [run_to_end(one.log_probabilities(read, state)) for one in parts]
    p = sum(w * np.exp(row) for w, row in zip((0.25, 0.5, 0.25), rows, strict=True))
    assert found.together.perplexity == pytest.approx(math.exp(-np.log(p).mean()), rel=1e-12)
    assert [part.weight for part in found.parts] == [0.25, 0.5, 0.25]
    assert not found.tuned
    for part, row in zip(found.parts, rows, strict=True):
        assert part.alone is not None
        assert part.alone.perplexity == pytest.approx(math.exp(-row.mean()), rel=1e-12)
    for part, one in zip(found.parts[:2], parts, strict=False):
        wanted = run_to_end(evaluate(one.network, read, state))
        assert part.alone is not None
        assert part.alone.perplexity == pytest.approx(wanted.perplexity, rel=1e-12)
        assert part.alone.perplexity_without_unk == pytest.approx(wanted.perplexity_without_unk, rel=1e-12)
        assert (part.alone.unknown, part.alone.line_ends) == (wanted.unknown, wanted.line_ends)


def test_the_weights_are_the_best_ones() -> None:
    generator = np.random.default_rng(0)
    p = generator.random((2, 500))
    p[:, :5] = [[1e-12], [0.5]]
    shares = by_em(np.log(p))
    best = minimize_scalar(
        lambda w: -np.log(w * p[0] + (1 - w) * p[1]).mean(), bounds=(0, 1), method="bounded", options={"xatol": 1e-9}
    )
    assert shares.sum() == pytest.approx(1, abs=1e-15)
    assert shares[0] == pytest.approx(best.x, abs=1e-3)
    better = by_em(np.log([[0.9] * 5, [0.1] * 5]))
    np.testing.assert_allclose(better, [1, 0], atol=1e-6)


def test_they_are_found_on_the_held_out_text() -> None:
    parts, read, held_out = predictors(), text(1), text(2)
    found = run_to_end(evaluate_mixture(parts, read, "reset", None, held_out))
    rows = np.stack([run_to_end(one.log_probabilities(held_out, "reset")) for one in parts])
    np.testing.assert_array_equal([part.weight for part in found.parts], by_em(rows))
    assert found.tuned
    own = run_to_end(evaluate_mixture(parts, held_out, "reset", None, held_out))
    assert own.together.perplexity <= min(part.alone.perplexity for part in own.parts if part.alone is not None)


def test_no_probability_at_all_of_one_predictor() -> None:
    log_p = np.array([[-np.inf, -1.0, -np.inf], [-2.0, -3.0, -np.inf]])
    np.testing.assert_allclose(
        mixed(log_p, np.array([0.5, 0.5]))[:2], np.log([math.exp(-2) / 2, (math.exp(-1) + math.exp(-3)) / 2])
    )
    assert mixed(log_p, np.array([0.5, 0.5]))[2] == -np.inf
    assert np.isfinite(by_em(log_p)).all()
    np.testing.assert_allclose(mixed(log_p[:, :2], np.array([0.0, 1.0])), [-2, -3])


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [math.nan, 1.0], [1.0, 1.0, 1.0]])
def test_weights_that_are_none(weights: list[float]) -> None:
    with pytest.raises(InputError, match="must be 2 numbers of 0 or more"):
        checked(weights, 2)


def test_what_cannot_be_mixed() -> None:
    parts = predictors()
    with pytest.raises(InputError, match="no held-out text to find the weights on"):
        run_to_end(evaluate_mixture(parts, text(1), "reset", None, None))
    with pytest.raises(InputError, match="a token is impossible then"):
        run_to_end(evaluate_mixture([Impossible()], text(1), "reset", [1], None))
    parts[1].network.parameters["output"]["b2"][:] = np.nan
    with pytest.raises(NotFiniteError, match="net1: a log-probability is not a number"):
        run_to_end(evaluate_mixture(parts, text(1), "reset", [1, 1, 1], None))
