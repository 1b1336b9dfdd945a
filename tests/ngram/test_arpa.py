"""ARPA files: written and read back, read in by rows, and what is wrong with them."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from rnnlm.errors import InputError, TextError
from rnnlm.ngram import arpa
from rnnlm.ngram.kneser_ney import estimate
from rnnlm.ngram.model import NGram
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end

WORDS = Vocabulary([*"abcdef", "é", "<unk>", "</s>"], [1] * 9, "word", False)
CHARACTERS = Vocabulary([*"abc \t\\", "<unk>", "\n"], [1] * 8, "char", False)

SMALL = """\\data\\
ngram 1=4
ngram 2=3

\\1-grams:
-0.5\ta\t-0.25
-0.75\t<unk>
-0.6\t</s>
-99\t<s>\t-0.5

\\2-grams:
-0.2\t<s> a
-0.3\ta a
-0.1\ta </s>

\\end\\
"""


def model(vocabulary: Vocabulary, order: int = 4) -> tuple[NGram, np.ndarray]:
    ids = np.random.default_rng(0).integers(0, len(vocabulary), 800)
    return estimate(ids, order, len(vocabulary), vocabulary.line_end), ids


@pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS], ids=["word", "char"])
@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("packed", [False, True])
def test_a_model_comes_back(vocabulary: Vocabulary, order: int, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "my.arpa"
    made, ids = model(vocabulary, order)
    run_to_end(arpa.write(path, made, vocabulary))
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    found = arpa.read(path, vocabulary)
    assert len(found.orders) == order
    for own, wanted in zip(found.orders, made.orders, strict=True):
        np.testing.assert_array_equal(own.keys, wanted.keys)
        np.testing.assert_allclose(own.log_backoff, wanted.log_backoff, rtol=1e-14)
    other = np.random.default_rng(1).integers(0, len(vocabulary), 500)
    for read in (ids, other):
        np.testing.assert_allclose(found.scores(read), made.scores(read), rtol=1e-13)


def test_the_rows_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my.arpa"
    path.write_text(SMALL)
    words = Vocabulary(["a", "<unk>", "</s>"], [1] * 3, "word", False)
    found = arpa.read(path, words).scores(np.array([0, 0, 1, 0, 2, 1, 2])) / math.log(10)
    # <s> a | a a | a <unk>: b(a) + p | <unk> a: p, no b | a </s> || <s> <unk>: b(<s>) + p | <unk> </s>
    np.testing.assert_allclose(found, [-0.2, -0.3, -1.0, -0.5, -0.1, -1.25, -0.6], rtol=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "\\date\\", "no ARPA file"),
        ("ngram 2=3", "ngram 3=3", "my.arpa:3: found 'ngram 3=3'; must be ngram 2=COUNT"),
        ("-0.3\ta a", "-0.3\ta b", "my.arpa:13: b is no token of the model"),
        ("-0.3\ta a", "-0.3\ta", "my.arpa:13: found .*; must be a logarithm, 2 tokens"),
        ("-0.3\ta a", "x\ta a", "my.arpa:13: found .*; must be a logarithm, 2 tokens"),
        ("-0.3\ta a", "0.3\ta a", "a log-probability of the 2-grams is above 0"),
        ("-0.3\ta a", "nan\ta a", "a log-probability of the 2-grams is above 0 or no number"),
        ("-0.3\ta a", "-0.1\ta </s>", "one of the 2-grams is there twice"),
        ("ngram 1=4", "ngram 1=3", "my.arpa:9: found .-99.*, where .*2-grams: should stand"),
        ("\\2-grams:", "\\3-grams:", "where .*2-grams: should stand"),
        ("\\end\\", "", "where .*end.* should stand"),
        ("-0.5\ta\t-0.25\n", "-0.5\t</s>\t-0.25\n", "token a is not in it"),
        ("\\1-grams:", "", "my.arpa:6: found"),
        ("ngram 2=3", "ngram 2=99999999999999", "99,999,999,999,999 2-grams, more than there can be"),
    ],
)
def test_files_that_are_wrong(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "my.arpa"
    path.write_text(SMALL.replace(old, new, 1))
    words = Vocabulary(["a", "<unk>", "</s>"], [1] * 3, "word", False)
    with pytest.raises(TextError, match=message):
        arpa.read(path, words)


def test_a_begin_of_the_vocabularys_own(tmp_path: Path) -> None:
    words = Vocabulary(["a", "<s>", "<unk>", "</s>"], [1] * 4, "word", False)
    made = estimate(np.array([0, 1, 3, 0, 3]), 2, 4, 3)
    path = tmp_path / "my.arpa"
    with pytest.raises(InputError, match="the vocabulary has the token <s>"):
        run_to_end(arpa.write(path, made, words))
    assert not path.exists()
    path.write_text(SMALL)
    with pytest.raises(InputError, match="the vocabulary has the token <s>"):
        arpa.read(path, words)


def test_a_file_of_another_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "my.arpa"
    path.write_text(SMALL)
    with pytest.raises(TextError, match="the model's token b is not in it; give an ARPA file of the same tokens"):
        arpa.read(path, Vocabulary(["a", "b", "<unk>", "</s>"], [1] * 4, "word", False))
