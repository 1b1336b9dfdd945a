"""The comparison of two models: its figures against single evaluations, its interval against a plain bootstrap."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import config, network
from records import run

from rnnlm.errors import NotFiniteError, TextError
from rnnlm.evaluation import compare as module
from rnnlm.evaluation.compare import Model, compare
from rnnlm.evaluation.per_token import token_scores
from rnnlm.evaluation.perplexity import evaluate
from rnnlm.evaluation.records import Comparison
from rnnlm.text import corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note, run_to_end

WORDS = Vocabulary([*"abcdefgh", "<unk>", "</s>"], [1] * 10, "word", False)
FEWER = Vocabulary([*"abcd", "<unk>", "</s>"], [1] * 6, "word", False)
CHARACTERS = Vocabulary([*"abcdefgh ", "<unk>", "\n"], [1] * 11, "char", False)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    path = tmp_path / "my.txt"
    lines = (" ".join(generator.choice([*"abcdefgh", "strange"], generator.integers(0, 9))) for _ in range(200))
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def model(vocabulary: Vocabulary, seed: int = 0, deviation: float = 0.3) -> Model:
    return Model(network(config(), len(vocabulary), seed, deviation), vocabulary)


def compared(a: Model, b: Model, text: Path, state: str = "reset", **how: Any) -> Comparison:
    return run_to_end(compare(a, b, text, state, **({"draws": 2000} | how)))


@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize("other", [WORDS, FEWER, CHARACTERS], ids=["words", "fewer", "characters"])
def test_the_figures_are_those_of_each_alone(state: str, other: Vocabulary, text: Path, tmp_path: Path) -> None:
    sides = model(WORDS), model(other, 1)
    found = compared(*sides, text, state)
    for i, side in enumerate(sides):
        folder = tmp_path / str(i)
        folder.mkdir()
        read = run_to_end(corpus.read(text, side.vocabulary, folder))
        wanted = run_to_end(evaluate(side.network, read, state))
        assert found.bits_per_token[i] == pytest.approx(wanted.bits_per_token, rel=1e-12)
        assert found.bits_per_character[i] == pytest.approx(wanted.bits_per_character, rel=1e-12)
        assert (found.tokens[i], found.unknown[i]) == (wanted.tokens, wanted.unknown)
    assert found.lines == 200
    assert found.same_vocabulary == (other is WORDS)
    assert (found.doubtful is None) == (other is WORDS)
    by_unit = {difference.unit: difference for difference in found.differences}
    one, two = found.bits_per_character
    assert by_unit["character"].bits == pytest.approx(one - two, rel=1e-9)
    assert ("token" in by_unit) == (other is not CHARACTERS)
    if "token" in by_unit:
        one, two = found.bits_per_token
        assert by_unit["token"].bits == pytest.approx(one - two, rel=1e-9)
        bits = [of_known_tokens(side, other, text, state, tmp_path / f"known {i}") for i, side in enumerate(sides)]
        assert by_unit["known token"].bits == pytest.approx(bits[0] - bits[1], rel=1e-9)
    else:
        assert "known token" not in by_unit
        assert found.better == found.worse == ()


def of_known_tokens(side: Model, other: Vocabulary, text: Path, state: str, folder: Path) -> float:
    """Bits a token of those that both vocabularies have."""
    folder.mkdir()
    read = run_to_end(corpus.read(text, side.vocabulary, folder))
    found = token_scores(side.network, read, state)
    return float(np.mean([token.surprisal for token in found if token.token in WORDS and token.token in other]))


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_another_state_than_in_training_is_said(state: str, text: Path) -> None:
    one, other = (Model(network(config(state=own), len(WORDS)), WORDS) for own in ("carry", "reset"))
    _, records = run(compare(one, other, text, state, draws=100))
    notes = [record.text for record in records if isinstance(record, Note)]
    name, own = ("B", "reset") if state == "carry" else ("A", "carry")
    assert notes == [
        f"{name} was trained with the state {own}, and is scored with {state}: --state {own} scores all models so"
    ]


def test_an_unk_that_was_never_trained_is_said_and_left_out_of_the_words(text: Path) -> None:
    untrained = Vocabulary(WORDS.tokens, [1] * 8 + [0, 1], "word", False)
    for one, other, whose in ((WORDS, untrained, " of B"), (untrained, WORDS, " of A"), (untrained, untrained, "")):
        found = compared(model(one), model(other, 1), text, words=100)
        assert f"never stood in the training text{whose}, so its probability means nothing" in (found.doubtful or "")
        words = {gain.word for gain in (*found.better, *found.worse)}
        assert words == {*"abcdefgh", "</s>"}
    lower = Vocabulary(WORDS.tokens, untrained.counts, "word", True)
    both = compared(model(untrained), model(lower), text).doubtful or ""
    assert "so its probability means nothing; B reads the text in lower case" in both, "and known tokens are others"
    trained = compared(model(WORDS), model(WORDS, 1), text, words=100)
    assert "strange" in {gain.word for gain in (*trained.better, *trained.worse)}


def lines_of(side: Model, text: Path, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Bits of each line under reset, and its tokens."""
    folder.mkdir()
    read = run_to_end(corpus.read(text, side.vocabulary, folder))
    bits, tokens = np.zeros(200), np.zeros(200)
    for token in token_scores(side.network, read, "reset"):
        bits[token.line - 1] += token.surprisal
        tokens[token.line - 1] += 1
    return bits, tokens


def test_the_interval_is_that_of_a_plain_bootstrap(text: Path, tmp_path: Path) -> None:
    a, b = model(WORDS), model(WORDS, 1, 0.31)
    found = compared(a, b, text, draws=20_000).differences[0]
    (one, tokens), (two, _) = (lines_of(side, text, tmp_path / name) for side, name in ((a, "a"), (b, "b")))
    generator, drawn = np.random.default_rng(7), []
    for _ in range(5000):
        chosen = generator.integers(0, 200, 200)
        drawn.append((one[chosen] - two[chosen]).sum() / tokens[chosen].sum())
    assert found.low is not None
    assert found.high is not None
    error = 4 * np.std(drawn) / math.sqrt(5000) * 3  # of a quantile in a tail, about
    assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=error)
    assert found.high == pytest.approx(np.quantile(drawn, 0.975), abs=error)
    assert found.low < found.bits < found.high
    share = min(np.mean(np.array(drawn) <= 0), np.mean(np.array(drawn) >= 0))
    assert found.p == pytest.approx(min(1, 2 * share), abs=0.05)


def test_a_model_and_itself_and_the_other_way_round(text: Path) -> None:
    a, b = model(WORDS), model(WORDS, 1)
    same = compared(a, a, text)
    assert [(d.bits, d.low, d.high, d.p) for d in same.differences] == [(0, 0, 0, 1)] * 3
    assert same.better == same.worse == ()
    there, back = compared(a, b, text), compared(b, a, text)
    for one, other in zip(there.differences, back.differences, strict=True):
        assert one.bits == pytest.approx(-other.bits, rel=1e-12)
        assert (one.low, one.p) == (pytest.approx(-(other.high or 0), rel=1e-9), other.p)
    assert [gain.word for gain in there.better] == [gain.word for gain in back.worse]
    assert compared(a, b, text) == there, "the same random numbers"
    assert compared(a, b, text, seed=1) != there


def test_words_by_gain(text: Path, tmp_path: Path) -> None:
    a, b = model(WORDS), model(WORDS, 1)
    found = compared(a, b, text, words=100)
    gains = {gain.word: gain for gain in (*found.better, *found.worse)}
    sums: dict[str, float] = {}
    for side, sign, name in ((a, 1, "a"), (b, -1, "b")):
        (tmp_path / name).mkdir()
        read = run_to_end(corpus.read(text, WORDS, tmp_path / name))
        for token in token_scores(side.network, read, "reset"):
            sums[token.token] = sums.get(token.token, 0) + sign * token.surprisal
    assert gains.keys() == sums.keys() >= {"strange", "</s>"}
    assert {word: gain.bits for word, gain in gains.items()} == pytest.approx(sums, rel=1e-9)
    assert gains["</s>"].count == 200
    assert all(gain.bits < 0 for gain in found.better)
    assert [gain.bits for gain in found.worse] == sorted((gain.bits for gain in found.worse), reverse=True)


@pytest.mark.parametrize(("state", "size"), [("carry", 10), ("reset", 1)])
def test_stretches(state: str, size: int, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = model(WORDS), model(WORDS, 1)
    assert compared(a, b, text, state).stretches == 200 // size
    monkeypatch.setattr(module, "_STRETCHES", 13)
    found = compared(a, b, text, state)
    assert found.stretches == 13
    assert found.lines == 200


def test_a_text_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "my.txt"
    path.write_text("a b c")
    found = compared(model(WORDS), model(WORDS, 1), path).differences[0]
    assert found.bits != 0
    assert (found.low, found.high, found.p) == (None, None, None)


def test_lower_case_is_another_vocabulary(text: Path) -> None:
    lower = Model(model(WORDS).network, Vocabulary(WORDS.tokens, [1] * 10, "word", True))
    found = compared(model(WORDS), lower, text)
    assert not found.same_vocabulary
    assert found.doubtful is not None
    assert found.doubtful.startswith("B reads the text in lower case")
    assert (compared(lower, model(WORDS), text).doubtful or "").startswith("A reads")


def test_what_cannot_be_compared(tmp_path: Path, text: Path) -> None:
    a, b = model(WORDS), model(WORDS, 1)
    with pytest.raises(TextError, match="only once"):
        compared(a, b, Path("-"))
    b.network.parameters["output"]["b2"][:] = np.nan
    with pytest.raises(NotFiniteError, match="B: a log-probability is not finite"):
        compared(a, b, text)
