"""Minimal pairs: against single scores, whatever they have in common; files; intervals."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import config, network
from scipy import stats

from rnnlm.errors import InputError, NotFiniteError, RnnlmError, TextError
from rnnlm.evaluation import pairs as module
from rnnlm.evaluation.lines import score_lines
from rnnlm.evaluation.pair_files import Pair, read
from rnnlm.evaluation.pairs import accuracies, interval, score_pairs, table
from rnnlm.network.network import Network
from rnnlm.text.lines import Line
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end

WORDS = Vocabulary([*"abcdefgh", "<unk>", "</s>"], [1] * 10, "word", False)
CHARACTERS = Vocabulary([*"abcdefgh ", "<unk>", "\n"], [1] * 11, "char", False)


def alone(net: Network, vocabulary: Vocabulary, sentence: str) -> float:
    (found,) = score_lines(net, vocabulary, [[Line(1, sentence, True)]], "text")
    return next(found.summed()).log_probability


def drawn(count: int) -> list[Pair]:
    """Pairs that differ at the beginning, in the middle, at the end, by a word more, or in unknown words."""
    generator = np.random.default_rng(0)

    def words(n: int) -> list[str]:
        return [str(word) for word in generator.choice([*"abcdefgh", "strange", "other"], n)]

    made = []
    while len(made) < count:
        before, behind = words(int(generator.integers(0, 5))), words(int(generator.integers(0, 5)))
        good, bad = words(int(generator.integers(0, 3))), words(int(generator.integers(0, 3)))
        one, other = [*before, *good, *behind], [*before, *bad, *behind]
        if one and other and one != other:
            made.append(Pair(" ".join(one), " ".join(other), "abc"[len(made) % 3], f"x:{len(made)}"))
    return made


@pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS], ids=["word", "char"])
@pytest.mark.parametrize("together", [7, 1000])
def test_each_sentence_is_scored_as_alone(
    vocabulary: Vocabulary, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TOGETHER", together)
    net, pairs = network(config(), len(vocabulary), deviation=0.5), drawn(60)
    found = run_to_end(score_pairs(net, vocabulary, pairs))
    assert [(pair.good, pair.bad, pair.phenomenon) for pair in found] == [pair[:3] for pair in pairs]
    for pair in found:
        assert pair.log_probability_good == pytest.approx(alone(net, vocabulary, pair.good), rel=1e-12)
        assert pair.log_probability_bad == pytest.approx(alone(net, vocabulary, pair.bad), rel=1e-12)
        assert pair.correct == (pair.log_probability_good > pair.log_probability_bad)
    assert len({pair.correct for pair in found}) == 2


@pytest.mark.parametrize(
    ("good", "bad", "unknown"),
    [
        ("a b c", "a d c", False),
        ("a strange c", "a strange d", False),
        ("strange b c", "strange d c", False),
        ("a b strange", "a d strange", False),
        ("a strange c", "a d c", True),
        ("a b c", "a strange c", True),
        ("a strange c", "a other c", True),
        ("a b", "a b strange", True),
        ("a b c d", "a b", False),
    ],
)
def test_unknown_is_what_differs_in_an_unknown_word(good: str, bad: str, unknown: bool) -> None:
    net = network(config(), len(WORDS))
    (found,) = run_to_end(score_pairs(net, WORDS, [Pair(good, bad, "", "x:1")]))
    assert found.unknown == unknown


def test_accuracies_by_phenomenon() -> None:
    net, pairs = network(config(), len(WORDS), deviation=0.5), drawn(60)
    scores = run_to_end(score_pairs(net, WORDS, pairs))
    found = accuracies(scores)
    assert [row.phenomenon for row in found] == ["a", "b", "c", None]
    for row in found:
        own = [pair for pair in scores if row.phenomenon in (None, pair.phenomenon)]
        known = [pair.correct for pair in own if not pair.unknown]
        assert (row.pairs, row.correct) == (len(known), sum(known))
        assert row.accuracy == pytest.approx(np.mean(known))
        assert row.unknown == len(own) - len(known) > 0
        assert row.unknown_correct == sum(pair.correct for pair in own if pair.unknown)
        assert row.low is not None
        assert row.high is not None
        assert row.low < row.accuracy < row.high
    only = accuracies([pair for pair in scores if pair.unknown][:1])
    assert (only[0].pairs, only[0].accuracy, only[0].low) == (0, None, None)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (940, 1000), (1, 1)])
def test_the_interval_is_wilsons(successes: int, trials: int) -> None:
    wanted = stats.binomtest(successes, trials).proportion_ci(0.95, "wilson")
    assert interval(successes, trials) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_the_table_has_every_pair() -> None:
    net, pairs = network(config(), len(WORDS)), drawn(9)
    scores = run_to_end(score_pairs(net, WORDS, pairs))
    rows = list(csv.DictReader(io.StringIO("".join(table(scores))), delimiter="\t"))
    for row, pair in zip(rows, scores, strict=True):
        assert (row["good"], row["bad"], row["phenomenon"]) == (pair.good, pair.bad, pair.phenomenon)
        assert float(row["log_probability_good"]) == pair.log_probability_good
        assert float(row["log_probability_bad"]) == pair.log_probability_bad
        assert (row["correct"], row["unknown"]) == (str(int(pair.correct)), str(int(pair.unknown)))


def test_weights_that_are_no_numbers() -> None:
    net = network(config(), len(WORDS))
    net.parameters["output"]["b2"][:] = math.nan
    with pytest.raises(NotFiniteError, match="x:0: a log-probability is not finite"):
        run_to_end(score_pairs(net, WORDS, drawn(1)))


def blimp(folder: Path, name: str = "x.jsonl", **more: Any) -> Path:
    path = folder / name
    row = {"sentence_good": "a b", "sentence_bad": "a c", "UID": "one", "linguistics_term": "agreement", "pairID": 7}
    path.write_text(json.dumps(row | more) + "\n", encoding="utf-8")
    return path


def test_files(tmp_path: Path) -> None:
    one, other = blimp(tmp_path), blimp(tmp_path, "y.jsonl", sentence_good="é")
    assert read([one, other]) == [
        Pair("a b", "a c", "agreement", f"{one}:1"), Pair("é", "a c", "agreement", f"{other}:1"),
    ]  # fmt: skip
    assert read([one], "UID")[0].phenomenon == "one"
    tsv = tmp_path / "t.tsv"
    tsv.write_text("bad\tgood\tphenomenon\na c\ta b\tp\na d\ta b\tq\n")
    assert read([tsv]) == [Pair("a b", "a c", "p", f"{tsv}:2"), Pair("a b", "a d", "q", f"{tsv}:3")]
    tsv.write_text("good\tbad\na\tb\n")
    assert read([tsv])[0].phenomenon == "t", "the file's name"
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("a\nb\n")
    bad.write_text("b\nc\n")
    assert read([good, bad]) == [Pair("a", "b", "good", f"{good}:1"), Pair("b", "c", "good", f"{good}:2")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", "", "x.jsonl: empty; give at least one pair"),
        ("x.jsonl", "{}\n", "x.jsonl:1: there is no sentence_good or good"),
        ("x.jsonl", "\n", "x.jsonl:1: an empty line"),
        ("x.jsonl", "[1]\n", "x.jsonl:1: found .1.; each line is a JSON object"),
        ("x.jsonl", "{\n", "x.jsonl:1: no JSON"),
        ("x.jsonl", '{"good": 1, "bad": "a"}\n', "x.jsonl:1: good: found 1; must be a text"),
        ("x.jsonl", '{"good": "a ", "bad": "a"}\n', "x.jsonl:1: both sentences are the same"),
        ("x.jsonl", '{"good": " ", "bad": "a"}\n', "x.jsonl:1: an empty sentence"),
        ("x.tsv", "good\tbad\na\n", "x.tsv:2: 1 columns, where the header has 2"),
        ("x.tsv", "good\tworse\na\tb\n", "x.tsv:2: there is no sentence_bad or bad; there are good, worse"),
        ("x.txt", "a\n", "give files that end in"),
        ("x.jsonl", '{"good": "a\\nb", "bad": "a"}\n', "x.jsonl:1: good: found .*; must be one line of Unicode"),
        ("x.jsonl", '{"good": "a", "bad": "\\ud800"}\n', "x.jsonl:1: bad: found .*; must be one line of Unicode"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(RnnlmError, match=message) as found:
        read([path])
    assert isinstance(found.value, TextError | InputError)


def test_packed_files(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"good": "a b", "bad": "a c"}\n'))
    assert read([path]) == [Pair("a b", "a c", "x", f"{path}:1")]


def test_pairs_that_the_model_cannot_tell_apart() -> None:
    lower = Vocabulary(WORDS.tokens, [1] * 10, "word", True)
    with pytest.raises(TextError, match="x:1: both sentences are the same in lower case"):
        run_to_end(score_pairs(network(config(), 10), lower, [Pair("A b", "a b", "", "x:1")]))
    with pytest.raises(TextError, match="x:7: found the word </s>"):
        run_to_end(score_pairs(network(config(), 10), WORDS, [Pair("a b", "a </s>", "", "x:7")]))


def test_standard_input_is_one_text_alone() -> None:
    with pytest.raises(InputError, match="standard input can be one file alone"):
        read([Path("-"), Path("-")])


def test_texts_of_different_length(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("a\nb\n")
    bad.write_text("b\n")
    with pytest.raises(TextError, match=r"good.txt has 2 lines and .*bad.txt 1, where"):
        read([good, bad])
    with pytest.raises(TextError, match="there is no UID"):
        read([blimp(tmp_path, "z.tsv").rename(tmp_path / "z.jsonl"), _without_uid(tmp_path)], "UID")


def _without_uid(folder: Path) -> Path:
    path = folder / "w.jsonl"
    path.write_text('{"good": "a", "bad": "b"}\n')
    return path
