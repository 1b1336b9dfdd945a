"""Scores of lines and of their words: sums of the oracle's, in every unit and format."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import oracle
import pytest
from networks import config, network
from numpy.typing import NDArray

from rnnlm.errors import InputError, NotFiniteError, TextError
from rnnlm.evaluation import score_formats
from rnnlm.evaluation.lines import ScoredLines, score_lines
from rnnlm.evaluation.perplexity import evaluate
from rnnlm.evaluation.words import WordScore, words_of
from rnnlm.network.network import Network
from rnnlm.text import corpus, tokenizers
from rnnlm.text.lines import Line
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end

WORDS = Vocabulary([*"abcde", "İx", "<unk>", "</s>"], [1] * 8, "word", False)
CHARACTERS = Vocabulary([*"abcdei ", "\u0307", "<unk>", "\n"], [1] * 10, "char", True)
BYTES = Vocabulary([chr(value) for value in range(256)], [1] * 256, "byte", False)
UNITS = {"word": WORDS, "char": CHARACTERS, "byte": BYTES}
TEXTS = ["a b zz c", "", "  İx d\te  ", "a", "e e é e e e e e e", "b "]

units = pytest.mark.parametrize("vocabulary", UNITS.values(), ids=UNITS.keys())


def small(vocabulary: Vocabulary, precision: str = "float64") -> Network:
    return network(config(precision=precision), len(vocabulary), deviation=0.4)


def blocks(texts: Sequence[str] = TEXTS, size: int = 100, ended: bool = True) -> Iterator[list[Line]]:
    made = [Line(i, text, ended or i < len(texts)) for i, text in enumerate(texts, 1)]
    for first in range(0, len(made), size):
        yield made[first : first + size]


def oracle_nats(net: Network, vocabulary: Vocabulary, text: str, line_end: bool = True) -> NDArray[np.float64]:
    """log y^ of each of a line's tokens."""
    tokens = [*tokenizers.split(text, vocabulary.unit, vocabulary.lowercase), tokenizers.line_end(vocabulary.unit)]
    ids = vocabulary.to_unk(vocabulary.encode(tokens))
    found = oracle.log_probabilities(net.named, ids, vocabulary.line_end, "tanh")
    return found if line_end else found[:-1]


def scored(net: Network, vocabulary: Vocabulary, texts: Sequence[str] = TEXTS, **how: Any) -> ScoredLines:
    found = list(score_lines(net, vocabulary, blocks(texts), "text", **how))
    assert len(found) == 1
    return found[0]


@units
@pytest.mark.parametrize("line_end", [True, False])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_line_is_the_sum_of_its_tokens(vocabulary: Vocabulary, line_end: bool, size: int) -> None:
    """Whatever lines stand beside it."""
    net = small(vocabulary)
    parts = score_lines(net, vocabulary, blocks(size=size), "text", line_end=line_end)
    found = [row for part in parts for row in part.summed()]
    assert [row.text for row in found] == TEXTS
    assert [row.line for row in found] == [1, 2, 3, 4, 5, 6]
    for row in found:
        nats = oracle_nats(net, vocabulary, row.text, line_end)
        assert row.log_probability == pytest.approx(nats.sum(), rel=1e-12, abs=1e-15)
        assert row.log10_probability == pytest.approx(nats.sum() / math.log(10), rel=1e-12, abs=1e-15)
        assert row.tokens == len(nats)
        assert row.characters == len(row.text) + line_end
        if row.characters:
            assert row.bits_per_character == pytest.approx(-nats.sum() / math.log(2) / row.characters, rel=1e-12)
        else:
            assert row.bits_per_character is None
    unknown = {"word": [1, 0, 0, 0, 1, 0], "char": [2, 0, 2, 0, 1, 0], "byte": [0] * 6}[vocabulary.unit]
    assert [row.unknown for row in found] == unknown


@units
def test_together_they_are_the_evaluation_of_the_text(vocabulary: Vocabulary) -> None:
    net = small(vocabulary)
    end = tokenizers.line_end(vocabulary.unit)
    together: list[str] = []
    for text in TEXTS:
        together += [*tokenizers.split(text, vocabulary.unit, vocabulary.lowercase), end]
    characters = sum(map(len, TEXTS)) + len(TEXTS)
    read = corpus.from_tokens(
        together if vocabulary.unit == "word" else "".join(together), characters, vocabulary, "text"
    )
    wanted = run_to_end(evaluate(net, read, "reset"))
    rows = list(scored(net, vocabulary).summed())
    assert sum(row.tokens for row in rows) == wanted.tokens
    assert sum(row.unknown for row in rows) == wanted.unknown
    nats = -sum(row.log_probability for row in rows)
    assert nats == pytest.approx(wanted.bits_per_token * math.log(2) * wanted.tokens, rel=1e-12)
    bits = nats / math.log(2) / sum(row.characters for row in rows)
    assert bits == pytest.approx(wanted.bits_per_character, rel=1e-12)


def test_characters_are_those_of_the_text() -> None:
    """A line end that a text of words is given is none of them; of bytes those count that begin a character."""
    (found,) = score_lines(small(WORDS), WORDS, blocks(["a b", "c d"], ended=False), "text")
    assert [row.characters for row in found.summed()] == [4, 3]
    odd = b"a \x80\xc3\xa9".decode("utf-8", "surrogateescape")
    (found,) = score_lines(small(BYTES), BYTES, blocks([odd]), "text")
    assert next(found.summed()).characters == 4


@units
def test_a_last_line_without_an_end(vocabulary: Vocabulary) -> None:
    """Of words it has one all the same, as in every file; of characters the text has none."""
    net = small(vocabulary)
    (found,) = score_lines(net, vocabulary, blocks(["a b", "c d"], ended=False), "text")
    first, last = found.summed()
    assert first.log_probability == pytest.approx(oracle_nats(net, vocabulary, "a b").sum(), rel=1e-12)
    wanted = oracle_nats(net, vocabulary, "c d", vocabulary.unit == "word")
    assert last.log_probability == pytest.approx(wanted.sum(), rel=1e-12)
    assert last.tokens == len(wanted)


def rows_of(net: Network, vocabulary: Vocabulary, **how: Any) -> list[list[WordScore]]:
    return list(words_of(scored(net, vocabulary, **how), vocabulary))


@units
@pytest.mark.parametrize("line_end", [True, False])
def test_words_add_up_to_the_line(vocabulary: Vocabulary, line_end: bool) -> None:
    net = small(vocabulary)
    found = rows_of(net, vocabulary, line_end=line_end)
    assert len(found) == len(TEXTS)
    for text, words in zip(TEXTS, found, strict=True):
        own = [row for row in words if row.word != "</s>"]
        assert [row.word for row in own] == text.split()
        assert [text[row.start : row.end] for row in own] == text.split()
        assert [row.position for row in words] == list(range(1, len(words) + 1))
        if words:
            nats = oracle_nats(net, vocabulary, text, line_end)
            assert sum(row.log_probability for row in words) == pytest.approx(nats.sum(), rel=1e-12)
            assert sum(row.tokens for row in words) == len(nats)
        assert len(words) - len(own) == (vocabulary is WORDS and line_end)
    assert [row.is_unk for row in found[0][:4]] == [False, False, vocabulary is not BYTES, False]


def test_a_word_of_characters_has_the_white_space_behind_it() -> None:
    net = small(CHARACTERS)
    first, second, third = rows_of(net, CHARACTERS)[2]
    nats = oracle_nats(net, CHARACTERS, TEXTS[2])
    # "  İx d\te  ": İ is two characters in lower case.
    assert first.word == "İx"
    assert first.log_probability == pytest.approx(nats[:6].sum(), rel=1e-12)
    assert second.word == "d"
    assert second.log_probability == pytest.approx(nats[6:8].sum(), rel=1e-12)
    assert second.is_unk, "the tabulator"
    assert third.word == "e"
    assert third.log_probability == pytest.approx(nats[8:].sum(), rel=1e-12)


def test_a_word_of_bytes_has_all_of_them() -> None:
    net = small(BYTES)
    words = rows_of(net, BYTES)[4]
    nats = oracle_nats(net, BYTES, TEXTS[4])
    assert words[2].word == "é"
    assert words[2].tokens == 3
    assert words[2].log_probability == pytest.approx(nats[4:7].sum(), rel=1e-12)


def test_entropy_and_its_reduction() -> None:
    net = small(WORDS)
    found = list(words_of(scored(net, WORDS, details=True), WORDS, True))
    ids = WORDS.to_unk(WORDS.encode([*TEXTS[0].split(), "</s>"]))
    wanted = oracle.entropies(net.named, ids, WORDS.line_end, "tanh")
    assert [row.entropy for row in found[0]] == pytest.approx(wanted.tolist(), rel=1e-9)
    reductions = [0, *np.maximum(0, wanted[:-1] - wanted[1:])]
    assert [row.entropy_reduction for row in found[0]] == pytest.approx(reductions, rel=1e-9, abs=1e-12)
    assert sum(row.entropy_reduction or 0 for row in found[0]) > 0


def test_the_most_probable_word() -> None:
    net = small(WORDS)
    found = list(words_of(scored(net, WORDS, details=True), WORDS, True))
    for i in (0, 4):
        ids = WORDS.to_unk(WORDS.encode([*TEXTS[i].split(), "</s>"]))
        alternatives, nats = oracle.alternatives(net.named, ids, WORDS.line_end, "tanh")
        assert [row.alternative for row in found[i]] == [WORDS.tokens[id] for id in alternatives]
        assert [row.alternative_surprisal for row in found[i]] == pytest.approx((-nats / math.log(2)).tolist())
    every = [row for rows in found for row in rows]
    assert all((row.alternative_surprisal or 0) <= row.surprisal for row in every)
    same = [row for row in every if row.alternative == row.word]
    assert same, "one of them is the word itself"
    assert all(row.alternative_surprisal == row.surprisal for row in same)
    (without,) = words_of(scored(net, WORDS, ["a"]), WORDS)
    assert [(row.alternative, row.alternative_surprisal) for row in without] == [(None, None)] * 2


def written(vocabulary: Vocabulary, name: str, by_word: bool = False, columns: str | None = None, **how: Any) -> str:
    net = small(vocabulary)
    ids = how.pop("ids", False)
    wanted = score_formats.chosen(name, by_word, ids, columns, vocabulary)
    texts = [f"u{i}\t{text}" for i, text in enumerate(TEXTS)] if ids else TEXTS
    found = scored(net, vocabulary, texts, ids=ids, details=wanted.details, **how)
    return wanted.header() + wanted.rows(found, vocabulary)


@units
@pytest.mark.parametrize("by_word", [False, True])
def test_tables_and_objects_have_the_same(vocabulary: Vocabulary, by_word: bool) -> None:
    table = written(vocabulary, "tsv", by_word, "all")
    rows = list(csv.DictReader(io.StringIO(table, newline=""), delimiter="\t"))
    objects = [json.loads(line) for line in written(vocabulary, "jsonl", by_word, "all").splitlines()]
    words = len(" ".join(TEXTS).split()) + (len(TEXTS) if vocabulary is WORDS else 0)
    assert len(rows) == len(objects) == (words if by_word else len(TEXTS))
    names = [*(score_formats.WORD_COLUMNS if by_word else score_formats.LINE_COLUMNS)]
    names.remove("id")
    assert list(rows[0]) == [name for name in names if name not in score_formats.DISTRIBUTION or vocabulary is WORDS]
    for row, found in zip(rows, objects, strict=True):
        assert row.keys() == found.keys()
        for name, cell in row.items():
            if isinstance(found[name], str):
                assert cell.encode("latin-1", "backslashreplace").decode("unicode_escape") == found[name]
            else:
                assert float(cell) == found[name], "all digits"


def test_pandas_reads_the_table_back_whole() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(io.StringIO(written(WORDS, "tsv")), sep="\t")
    assert len(table) == 6
    assert table["tokens"].tolist() == [5, 1, 4, 2, 10, 2]


def test_ids_are_kept_and_not_scored() -> None:
    plain = list(csv.DictReader(io.StringIO(written(WORDS, "tsv")), delimiter="\t"))
    named = list(csv.DictReader(io.StringIO(written(WORDS, "tsv", ids=True)), delimiter="\t"))
    assert [row.pop("id") for row in named] == [f"u{i}" for i in range(6)]
    for row, wanted in zip(named, plain, strict=True):
        assert row["log_probability"] == wanted["log_probability"]
        assert row["tokens"] == wanted["tokens"]
    kaldi = [line.split(" ") for line in written(WORDS, "kaldi", ids=True).splitlines()]
    assert [id for id, _ in kaldi] == [f"u{i}" for i in range(6)]
    assert [float(score) for _, score in kaldi] == [float(row["log10_probability"]) for row in plain]


def test_the_columns_of_neural_complexity() -> None:
    head, *rows = [line.split(" ") for line in written(WORDS, "surprisal").splitlines()]
    assert head == ["word", "sentid", "sentpos", "wlen", "surp", "entropy", "entred"]
    assert [row[0] for row in rows] == " ".join(TEXTS).split(), "no line ends"
    assert rows[2][:4] == ["zz", "0", "2", "2"]
    words = list(words_of(scored(small(WORDS), WORDS, details=True), WORDS, True))
    assert [float(value) for value in rows[2][4:]] == [
        words[0][2].surprisal, words[0][2].entropy, words[0][2].entropy_reduction,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kaldi", False, False, None, "word"), "give --ids"),
        (("kaldi", True, True, None, "word"), "leave --by out"),
        (("surprisal", False, False, "word", "word"), "leave --columns out"),
        (("surprisal", False, False, None, "char"), "this is a model of chars"),
        (("tsv", False, False, "id", "word"), "--columns: 'id': no such column"),
        (("tsv", True, False, "entropy_bits", "char"), "--columns: 'entropy_bits': no such column"),
        (("jsonl", False, False, "line,line", "word"), "'line': found twice"),
    ],
)
def test_options_that_do_not_go_together(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_formats.chosen(*arguments[:-1], UNITS[arguments[-1]])


def test_what_cannot_be_scored() -> None:
    net = small(WORDS)
    with pytest.raises(TextError, match="my.txt: empty"):
        list(score_lines(net, WORDS, [], "my.txt"))
    with pytest.raises(TextError, match="my.txt:2: an empty line; with --ids"):
        list(score_lines(net, WORDS, blocks(["u1 a", " "]), "my.txt", ids=True))
    with pytest.raises(TextError, match="my.txt:2: found the word </s>"):
        list(score_lines(net, WORDS, blocks(["a", "b </s>"]), "my.txt"))
    net.parameters["output"]["b2"][:] = np.nan
    with pytest.raises(NotFiniteError, match="not finite"):
        list(score_lines(net, WORDS, blocks(), "my.txt"))
