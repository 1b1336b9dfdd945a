"""Rescoring: every number against plain NumPy, whatever the order of the hypotheses."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from networks import config, network

from rnnlm.errors import InputError, NotFiniteError, RnnlmError, TextError
from rnnlm.evaluation.lines import score_lines
from rnnlm.evaluation.prefixes import score_prefixes
from rnnlm.evaluation.rescoring import rescore as module
from rnnlm.evaluation.rescoring.nbest_files import Hypothesis
from rnnlm.evaluation.rescoring.records import Recognition, Weights, WordErrors
from rnnlm.evaluation.rescoring.rescore import Given, Result, rescore
from rnnlm.network.network import Network
from rnnlm.text.lines import Line
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note, run_to_end

WORDS = Vocabulary([*"abcdefgh", "<unk>", "</s>"], [1] * 10, "word", False)
CHARACTERS = Vocabulary([*"abcdefgh ", "<unk>", "\n"], [1] * 11, "char", False)


def drawn(utterances: int = 9) -> list[Hypothesis]:
    """Hypotheses with beginnings in common; some with unknown words, without words, or twice the same."""
    generator = np.random.default_rng(0)
    made = []
    for u in range(utterances):
        spoken = generator.choice([*"abcdefgh", "strange", "<unk>"], generator.integers(0, 7))
        for _ in range(int(generator.integers(1, 8))):
            heard = [str(word) for word in spoken if generator.random() < 0.9]
            heard = [str(generator.choice([*"abcd", "odd"])) if generator.random() < 0.2 else word for word in heard]
            score, old = generator.normal(0, 5, 2).tolist()
            made.append(Hypothesis(f"u{u}", " ".join(heard), score, old, f"x:{len(made) + 1}"))
    return made


def plain(net: Network, tokens: list[int], end: int) -> float:
    """log p of an Elman network (tanh), token by token from a line end on."""
    p = net.named
    h, before, total = np.zeros(p["cell.0.H"].shape[0]), end, 0.0
    for token in tokens:
        h = np.tanh(h @ p["cell.0.H"] + p["embedding.table"][before] @ p["cell.0.I"] + p["cell.0.b1"])
        z2 = h @ p["output.U"] + p["output.b2"]
        total += float(z2[token] - np.log(np.exp(z2).sum()))
        before = token
    return total


def run(net: Network, vocabulary: Vocabulary, some: list[Hypothesis], *given: float | None, **more: Any) -> Result:
    return run_to_end(rescore(net, vocabulary, some, Given(*given), **more))


@pytest.mark.parametrize("together", [5, 1000])
def test_every_number_by_plain_numpy(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOGETHER", together)
    net, hypotheses = network(config(), len(WORDS)), drawn()
    assert any(not one.text for one in hypotheses)
    found = run(net, WORDS, hypotheses, 0.7, -1.5, 0.25)
    ids = {token: id for id, token in enumerate(WORDS.tokens)}
    numbers: Counter[str] = Counter()
    for row, one in zip(found.hypotheses, hypotheses, strict=True):
        words = one.text.split()
        tokens = [ids.get(word, ids["<unk>"]) for word in words] + [ids["</s>"]]
        log_p = plain(net, tokens, ids["</s>"])
        total = one.score + 0.7 * log_p - 1.5 * len(words) + 0.25 * (one.old_score or 0)
        assert (row.utterance, row.text, row.score, row.old_score) == one[:4]
        assert row.log_probability == pytest.approx(log_p, rel=1e-9)
        assert (row.words, row.unknown) == (len(words), sum(word not in ids for word in words))
        assert row.total == pytest.approx(total, rel=1e-9)
        numbers[one.utterance] += 1
        assert row.hypothesis == numbers[one.utterance]
    for row in found.hypotheses:
        better = [other for other in found.hypotheses if other.utterance == row.utterance and other.total > row.total]
        assert row.rank == 1 + len(better)
    assert found.summary.utterances == 9
    assert found.summary.hypotheses == len(hypotheses)
    assert found.summary.weights == Weights(0.7, -1.5, 0.25)
    assert found.summary.tuned == ()
    assert found.summary.errors is None
    assert found.summary.tokens == sum(len(one.text.split()) + 1 for one in hypotheses)
    assert found.summary.unknown == sum(row.unknown for row in found.hypotheses)
    first = {row.utterance: row.text for row in found.hypotheses if row.hypothesis == 1}
    best = {row.utterance: row.text for row in found.hypotheses if row.rank == 1}
    assert found.summary.changed == sum(first[name] != best[name] for name in first) > 0


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm", "mingru", {"type": "scrn", "context": 3}])
@pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS], ids=["word", "char"])
def test_each_hypothesis_is_scored_as_alone(vocabulary: Vocabulary, cell: Any) -> None:
    """With beginnings read once, in any order and in any company."""
    net = network(config(layers=2, model={"cell": cell}), len(vocabulary))
    net.initial = [np.full_like(state, 0.1 * (i + 1)) for i, state in enumerate(net.initial)]
    hypotheses = drawn()
    alone = []
    for one in hypotheses:
        (found,) = score_lines(net, vocabulary, [[Line(1, one.text, True)]], "text")
        alone.append(next(found.summed()))
    log_p = [row.log_probability for row in run(net, vocabulary, hypotheses, 1.0, 0, 0).hypotheses]
    assert log_p == pytest.approx([score.log_probability for score in alone], rel=1e-9)
    order = np.random.default_rng(1).permutation(len(hypotheses))
    mixed = run(net, vocabulary, [hypotheses[i] for i in order], 1.0, 0, 0).hypotheses
    assert [row.log_probability for row in mixed] == pytest.approx([log_p[i] for i in order], rel=1e-9)
    few = run(net, vocabulary, hypotheses[3:4], 1.0, 0, 0).hypotheses[0]
    assert few.log_probability == pytest.approx(log_p[3], rel=1e-9)
    assert few.unknown == alone[3].unknown


def test_beginnings_are_read_once() -> None:
    net = network(config(), len(WORDS))
    texts = ["a b c", "a b d", "a b", "a b c", "a", "", "b strange", "b odd"]
    summary = run(net, WORDS, [Hypothesis("u", text, 0, None, "x:1") for text in texts], 1.0).summary
    prefixes = {
        tuple(words[: i + 1]) for text in texts for words in [[*text.split(), "</s>"]] for i in range(len(words))
    }
    unknown = {tuple("?" if word in ("strange", "odd") else word for word in prefix) for prefix in prefixes}
    assert summary.tokens == sum(len(text.split()) + 1 for text in texts)
    assert summary.scored == len(unknown) == 12


def test_equal_totals_keep_their_order() -> None:
    scores = [1.0, 2.0] * 50
    some = [Hypothesis("u", "a", score, None, f"x:{i}") for i, score in enumerate(scores, 1)]
    found = run(network(config(), len(WORDS)), WORDS, some, 1.0)
    assert [row.rank for row in found.hypotheses] == [51 + i // 2 if i % 2 == 0 else 1 + i // 2 for i in range(100)]
    assert found.summary.changed == 0


def test_word_errors_before_and_after() -> None:
    """Weights that do nothing: the best is the highest score; the first is the list's."""
    net = network(config(), len(WORDS))
    texts = [("u", "a b", 1.0), ("u", "a c d", 3.0), ("u", "a c", 2.0), ("v", "", 1.0), ("v", "b", 0.0)]
    some = [Hypothesis(name, text, score, None, f"x:{i}") for i, (name, text, score) in enumerate(texts)]
    found = run(net, WORDS, some, 0.0, references={"u": "a c", "v": "b"}).summary
    assert found.errors == Recognition(WordErrors(1, 1, 0, 3), WordErrors(0, 1, 1, 3), WordErrors(0, 0, 0, 3))
    assert found.errors.rescored.rate == 2 / 3
    assert found.changed == 1
    assert found.json()["errors"]["oracle"]["rate"] == 0.0  # type: ignore[index]


def test_tuning_finds_weights_that_count_errors_as_told() -> None:
    net, hypotheses = network(config(), len(WORDS)), drawn(30)
    spoken = {one.utterance: one.text for one in hypotheses}
    found = run(net, WORDS, hypotheses, references=spoken).summary
    assert found.tuned == ("weight", "penalty", "old_weight")
    assert found.errors is not None
    assert found.errors.oracle.errors == 0, "the last hypothesis of each is the reference"
    assert found.errors.rescored.errors < found.errors.first.errors
    w = found.weights
    again = run(net, WORDS, hypotheses, w.weight, w.penalty, w.old_weight, references=spoken).summary
    assert again.errors == found.errors
    assert again.tuned == ()
    partly = run(net, WORDS, hypotheses, None, 0.5, references=spoken).summary
    assert (partly.tuned, partly.weights.penalty) == (("weight", "old_weight"), 0.5)


def test_references_without_hypotheses_are_told() -> None:
    net, hypotheses = network(config(), len(WORDS)), [Hypothesis("u", "a", 0.0, None, "x:1")]
    told: list[Any] = []
    run_to_end(rescore(net, WORDS, hypotheses, Given(1.0), {"u": "a", "v": "b"}), told.append)
    assert Note("references without a hypothesis: 1; their words are not counted", warning=True) in told


@pytest.mark.parametrize(
    ("given", "old", "message"),
    [
        ((), None, "give --weight, how much log p counts, or --references"),
        ((math.nan,), None, "--weight: found nan; must be a number"),
        ((1.0, math.inf), None, "--penalty: found inf; must be a number"),
        ((-1.0,), None, "--weight: found -1; must be 0 or above"),
        ((1.0, 0.0, 1.0), None, "--old-weight goes with --old-score or --old-costs"),
        ((1.0,), 1.0, "--weight is given and --old-weight is not"),
    ],
)
def test_weights_that_are_wrong(given: tuple[float, ...], old: float | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(network(config(), len(WORDS)), WORDS, [Hypothesis("u", "a", 0.0, old, "x:1")], *given)


def test_texts_and_networks_that_are_wrong() -> None:
    net = network(config(), len(WORDS))
    with pytest.raises(TextError, match="x:7: found the word </s>"):
        run(net, WORDS, [Hypothesis("u", "a </s>", 0.0, None, "x:7")], 1.0)
    with pytest.raises(RnnlmError, match="x: 99.5% of its tokens are not in the vocabulary"):
        run(net, WORDS, [Hypothesis("u", "A " * 199, 0.0, None, "x:1")], 1.0)
    net.parameters["output"]["b2"][:] = math.nan
    with pytest.raises(NotFiniteError, match="x:1: a log-probability is not finite"):
        run(net, WORDS, [Hypothesis("u", "a", 0.0, None, "x:1")], 1.0)


def test_one_long_text_takes_no_more_memory_than_short_ones() -> None:
    """Of 1,000 texts one has 1,000 tokens: 2,000 numbers in all, not a million."""
    net = network(config(), len(WORDS))
    texts = [np.zeros(1000 if i == 0 else 1, np.int32) for i in range(1000)]
    score_prefixes(net, WORDS, texts[:1])
    tracemalloc.start()
    found = score_prefixes(net, WORDS, texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
    assert found.rows == 1000
    assert found.log_probability[1:] == pytest.approx(plain(net, [0], WORDS.line_end))
