"""Every token's probability against the oracle, whatever the batch, the window, the threads and the precision."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from networks import config, network

from rnnlm.evaluation.perplexity import evaluate
from rnnlm.evaluation.records import Evaluation
from rnnlm.network.scoring import mean_loss, score
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary

TOKENS = 1500
WORDS = [f"w{i}" for i in range(48)]


def make_corpus(seed: int = 0) -> Corpus:
    """Lines of 0 to 12 words, one in ten unknown, a literal <unk> now and then; the last line does not end."""
    generator = np.random.default_rng(seed)
    tokens: list[str] = []
    while len(tokens) < TOKENS - 1:
        for _ in range(generator.integers(0, 13)):
            kind = generator.random()
            tokens.append("strange" if kind < 0.1 else "<unk>" if kind < 0.13 else WORDS[generator.integers(48)])
        tokens.append("</s>")
    tokens = [*tokens[: TOKENS - 1], "w0"]
    vocabulary = Vocabulary([*WORDS, "<unk>", "</s>"], [1] * 50, "word", False)
    return corpus.from_tokens(tokens, 5000, vocabulary, "text")


def result(work: object) -> Evaluation:
    try:
        while True:
            next(work)  # type: ignore[call-overload]
    except StopIteration as end:
        found: Evaluation = end.value
        return found


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 7, 32])
@pytest.mark.parametrize("window", [1, 35, 1000])
def test_perplexity(precision: str, tolerance: float, state: str, threads: int, batch: int, window: int) -> None:
    text = make_corpus()
    net = network(config("sigmoid", d=12, hidden=16, precision=precision, threads=threads), 50)
    weights = {name: value.astype(np.float64) for name, value in net.named.items()}
    ids = text.ids(0, len(text))
    line_end = text.vocabulary.line_end
    found = result(evaluate(net, text, state, batch, window))
    wanted = oracle.perplexity(weights, ids, line_end, "sigmoid", state=state)
    known = text.stored != len(text.vocabulary)
    wanted_known = oracle.perplexity(weights, ids, line_end, "sigmoid", state=state, counted=known)
    assert found.perplexity == pytest.approx(wanted, rel=tolerance)
    assert found.perplexity_without_unk == pytest.approx(wanted_known, rel=tolerance)
    assert found.tokens == TOKENS
    assert found.unknown == int((~known).sum()) > 50
    assert found.bits_per_token == pytest.approx(np.log2(wanted), rel=tolerance)
    assert found.bits_per_character == pytest.approx(np.log2(wanted) * TOKENS / 5000, rel=tolerance)


@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_every_token(state: str, layers: int, activation: str) -> None:
    text = make_corpus(1)
    # Small enough that relu's states do not grow without end over the text.
    net = network(config(activation, d=12, hidden=16, layers=layers), 50, deviation=0.2)
    ids = text.ids(0, len(text))
    arguments = (net.named, ids, text.vocabulary.line_end, activation)
    parts = list(score(net, text, state, batch=7, window=10, details=True))
    position = np.concatenate([part.position for part in parts])
    assert sorted(position) == list(range(TOKENS))
    order = np.argsort(position)

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])[order]

    log_probability = oracle.log_probabilities(*arguments, state=state)
    np.testing.assert_allclose(column("log_probability"), log_probability, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(column("rank"), oracle.ranks(*arguments, state=state))
    np.testing.assert_allclose(column("entropy") / np.log(2), oracle.entropies(*arguments, state=state), atol=1e-10)
    alternative, its_log_probability = oracle.alternatives(*arguments, state=state)
    np.testing.assert_array_equal(column("alternative"), alternative)
    np.testing.assert_allclose(column("alternative_log_probability"), its_log_probability, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(column("unknown"), text.stored == len(text.vocabulary))
    assert mean_loss(net, text, state) == pytest.approx(-log_probability.mean(), rel=1e-12)


def test_under_reset_a_sentence_has_the_same_surprisal_wherever_it_stands() -> None:
    vocabulary = Vocabulary([*WORDS, "<unk>", "</s>"], [1] * 50, "word", False)
    net = network(config(d=12, hidden=16), 50)
    sentence = ["w3", "w1", "strange", "w4", "</s>"]
    alone = corpus.from_tokens(sentence, 1, vocabulary, "text")
    later = corpus.from_tokens(
        ["w7", "w9", "</s>", "</s>", "w2", "</s>", *sentence, "w5", "</s>"], 1, vocabulary, "text"
    )
    first = next(score(net, alone, "reset")).log_probability
    for batch in (1, 3):
        parts = list(score(net, later, "reset", batch=batch))
        position = np.concatenate([part.position for part in parts])
        log_probability = np.concatenate([part.log_probability for part in parts])[np.argsort(position)]
        np.testing.assert_allclose(log_probability[6:11], first, rtol=1e-13)
    carried = np.concatenate([part.log_probability for part in score(net, later, "carry")])
    assert np.abs(carried[6:11] - first).max() > 1e-3
