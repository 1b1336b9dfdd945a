"""Every format, every kind of damage, and that what is saved comes back."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_text import FakeCorpus, FakeVocabulary, settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from records import run

from rnnlm.errors import InputError, NotFiniteError, TextError
from rnnlm.vectors import formats
from rnnlm.vectors import pretrained as file
from rnnlm.vectors.coverage import Coverage
from rnnlm.work import Note

ROWS = {"the": [0.25, -1.5, 3e-5], "cat": [1, 2, 3], "naïve": [4, 5, 6], "</s>": [7, 8, 9], "unused": [0, 0, 0.5]}
VOCABULARY = FakeVocabulary(["</s>", "the", "<unk>", "cat", "naïve", "missing"])


def text_rows(rows: dict[str, list[float]], ending: str = "\n") -> str:
    return "".join(f"{token} {' '.join(map(str, values))}{ending}" for token, values in rows.items())


def word2vec_text(rows: dict[str, list[float]]) -> bytes:
    return f"{len(rows)} 3\n{text_rows(rows)}".encode()


def fasttext(rows: dict[str, list[float]]) -> bytes:
    return f"{len(rows)} 3\n{text_rows(rows, ' ' + chr(10))}".encode()  # its rows end with a space


def glove(rows: dict[str, list[float]]) -> bytes:
    return text_rows(rows).encode()


def windows_text(rows: dict[str, list[float]]) -> bytes:
    return f"{len(rows)} 3\r\n{text_rows(rows, chr(13) + chr(10))}".encode()


def word2vec_binary(rows: dict[str, list[float]], newline: bytes = b"\n") -> bytes:
    body = b"".join(token.encode() + b" " + np.array(v, "<f4").tobytes() + newline for token, v in rows.items())
    return f"{len(rows)} {len(next(iter(rows.values())))}\n".encode() + body


def gensim_binary(rows: dict[str, list[float]]) -> bytes:
    return word2vec_binary(rows, b"")


FORMATS = [word2vec_text, fasttext, glove, windows_text, word2vec_binary, gensim_binary]


def read(path: Path, vocabulary: FakeVocabulary = VOCABULARY, size: int = 3) -> tuple[np.ndarray, np.ndarray]:
    (table, match), _ = run(file.read(path, vocabulary, size))
    return table, match


def make(path: Path, ids: list[int], vocabulary: FakeVocabulary = VOCABULARY, size: int = 3, scale: float = 0.1):
    asked = settings("file", size, path=str(path), scale=scale)
    return run(file.make(FakeCorpus(ids), vocabulary, asked, 1, 1))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_plain_and_gzip(form: Callable[[dict], bytes], packed: bool, tmp_path: Path) -> None:
    path = tmp_path / "vectors"  # the name says nothing
    path.write_bytes(gzip.compress(form(ROWS)) if packed else form(ROWS))
    table, match = read(path)
    for token_id, token in enumerate(VOCABULARY.tokens):
        assert (match[token_id] > file.NOT_FOUND) == (token in ROWS)
        assert table[token_id].tolist() == np.array(ROWS.get(token, [0, 0, 0]), np.float32).tolist()


@pytest.mark.parametrize("d", [1, 2, 5])
def test_small_binary_files_are_not_taken_for_text(d: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(d)
    for trial in range(50):
        rows = {f"w{i}": rng.standard_normal(d).tolist() for i in range(8)}
        (tmp_path / "v").write_bytes(word2vec_binary(rows, b"\n" if trial % 2 else b""))
        vocabulary = FakeVocabulary(["</s>", *rows])
        table, _ = read(tmp_path / "v", vocabulary, d)
        np.testing.assert_array_equal(table[1:], np.array(list(rows.values()), np.float32))


def test_binary_larger_than_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_HEAD", 64)
    rows = {f"word{i}": [i, i + 0.5, -i] for i in range(200)}
    (tmp_path / "v").write_bytes(word2vec_binary(rows))
    table, match = read(tmp_path / "v", FakeVocabulary(["</s>", *rows]))
    assert match[1:].all()
    np.testing.assert_array_equal(table[1:], np.array(list(rows.values()), np.float32))


def test_tokens_with_spaces_and_numbers_as_tokens(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_bytes(b"2008 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\n7 7 7 7\nthe 1 1 1\n\xff\xfe 1 2 3\n")
    table, match = read(path, FakeVocabulary(["</s>", "2008", "at", "7", "the", "."]))
    assert match.tolist() == [0, 2 + 1, 0, 3, 3, 0]
    assert table[1].tolist() == [1, 2, 3]
    assert table[3].tolist() == [7, 7, 7]


@pytest.mark.parametrize("odd", ["\u00a0", "\u3000", "\u2028", "\u0085", "\x1c", "\x0b", "\r", "\t", "\ufeff"])
@pytest.mark.parametrize("place", ["{}", "{}x", "x{}", "x{}x"])
def test_odd_whitespace_in_tokens_survives(odd: str, place: str, tmp_path: Path) -> None:
    token = place.format(odd)
    vocabulary = FakeVocabulary(["</s>", "first", token])
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    file.save(tmp_path / "v", vocabulary.tokens, table)
    again, match = read(tmp_path / "v", vocabulary, 2)
    assert match.all()
    np.testing.assert_array_equal(again, table)


def test_exact_before_lower_case_whatever_the_order(tmp_path: Path) -> None:
    vocabulary = FakeVocabulary(["</s>", "The", "the", "CAT", "Dog"])
    for lines in (["the 1 1", "The 2 2", "cat 3 3"], ["The 2 2", "cat 3 3", "the 1 1"]):
        (tmp_path / "v").write_text("\n".join(lines) + "\n")
        table, match = read(tmp_path / "v", vocabulary, 2)
        assert table[1:4, 0].tolist() == [2, 1, 3]
        assert match.tolist() == [file.NOT_FOUND, file.SPELLED, file.SPELLED, file.LOWERCASED, file.NOT_FOUND]


def test_first_of_two_rows_of_a_token_counts(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("the 1 1 1\nthe 2 2 2\n")
    assert read(tmp_path / "v")[0][1].tolist() == [1, 1, 1]


def test_rows_of_other_words_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("the 1 2 3\n" + "".join(f"other{i} a b c\n" for i in range(1000)))
    assert read(tmp_path / "v")[0][1].tolist() == [1, 2, 3]


DAMAGE = {
    "header says more rows": (b"3 2\nthe 1 2\ncat 3 4\n", r"v:3: ends after 2 rows; line 1 says 3"),
    "header says fewer rows": (b"1 2\nthe 1 2\ncat 3 4\n", r"v:3: a row more than the 1"),
    "row too short": (b"the 1 2\ncat 3\n", r"v:2: 1 numbers; each row is a token and 2 numbers"),
    "row too long": (b"the 1 2\nother 3 4 5\n", r"v:2: 3 numbers; each row is a token and 2 numbers"),
    "row too long, with header": (b"2 2\nthe 1 2\ncat 3 4 5\n", r"v:3: 3 numbers"),
    "not a number": (b"cat 1 2\nthe 1 x2\n", r"v:2: 'x2' is not a number"),
    "not a number, with header": (b"2 2\nthe 1 x2\ncat 1 2\n", r"v:2: 'x2' is not a number"),
    "NaN": (b"the 1 2\ncat nan 2\n", r"v:2: number 1 of 2 is not a finite"),
    "infinite": (b"the 1 2\ncat 2 -inf\n", r"v:2: number 2 of 2 is not a finite"),
    "too large for float32": (b"the 1 2\ncat 2 1e39\n", r"v:2: number 2 of 2 is not a finite"),
    "empty line": (b"the 1 2\n\ncat 3 4\n", r"v:2: an empty line"),
    "no numbers": (b"the quick brown fox\njumps over\n", r"v:1: starts with 'the quick brown fox'"),
    "0 numbers a row": (b"2 0\nthe\ncat\n", r"v:1: 0 numbers"),
    "binary cut in a row": (word2vec_binary({"the": [1, 2], "cat": [3, 4]})[:-5], r"byte 25: ends within row 2 of 2"),
    "binary cut between rows": (word2vec_binary({"the": [1, 2], "cat": [3, 4]})[:17], r"byte 17: ends within row 2"),
    "binary with more rows": (
        b"1" + word2vec_binary({"the": [1, 2], "cat": [3, 4]})[1:], r"byte 16: goes on after the 1 rows",
    ),
    "binary NaN": (word2vec_binary({"cat": [1, 2], "the": [3, math.nan]}), r"byte 16: number 2 of 2 is not a finite"),
    "binary out of step": (b"9 2\nthe " + b"\x01" * 9000, r"byte 16: no token ends within"),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_its_place(name: str, packed: bool, tmp_path: Path) -> None:
    content, message = DAMAGE[name]
    path = tmp_path / "v"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(TextError, match=message) as caught:
        read(path, size=2)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_blank_lines_at_the_end_are_no_damage(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"1 3\nthe 1 2 3\n\n \n")
    assert read(tmp_path / "v")[0][1].tolist() == [1, 2, 3]


def test_damaged_gzip(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    packed = gzip.compress(glove({f"w{i}": rng.standard_normal(3).tolist() for i in range(2000)}))
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    for content in (packed[: len(packed) // 2], bytes(broken), packed[:-2]):
        (tmp_path / "v").write_bytes(content)
        with pytest.raises(TextError, match=r"v.*(byte|:\d+)"):
            read(tmp_path / "v")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\xba\x16\x4f\x2f\x0c\x00", r"give the \.vec file"),
        (glove(ROWS), r"3 numbers a token and embedding\.size is 4; set embedding\.size to 3"),
        (word2vec_binary(ROWS), r"3 numbers a token and embedding\.size is 4"),
    ],
)
def test_wrong_files(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "v", size=4)
    assert not isinstance(caught.value, TextError)
    assert str(tmp_path / "v") in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read(path)


def test_nothing_found(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("der 1 2 3\n")
    with pytest.raises(InputError, match="none of the vocabulary's 6 tokens"):
        make(tmp_path / "v", [1, 0])


def test_coverage_counts_types_and_tokens(tmp_path: Path) -> None:
    vocabulary = FakeVocabulary(["</s>", "The", "<unk>", "cat"])
    (tmp_path / "v").write_text("the 1 2 3\ncat 3 4 5\n")
    _, records = make(tmp_path / "v", [1, 3, 3, 0, 2, 2, 1, 0, 2, 0], vocabulary)
    (note,) = [record for record in records if isinstance(record, Note)]
    assert "2 of 4 types found (50.0%, 1 of them in lower case)" in note.text
    assert "40.0% of the training text's tokens" in note.text
    assert note.warning
    coverage = Coverage.of(np.array([False, True]), np.array([False, False]), np.array([1, 3]))
    assert coverage == Coverage(2, 1, 0, 4, 3)
    assert coverage.share_of_tokens == 0.75


def test_missing_rows_are_like_the_rows_found_and_unk_is_their_mean(tmp_path: Path) -> None:
    found = {f"f{i}": [i % 2, 100 + 3 * (i % 2), -5.0] for i in range(10)}
    vocabulary = FakeVocabulary(["</s>", "<unk>", *found, *(f"missing{i}" for i in range(2000))])
    (tmp_path / "v").write_bytes(glove(found))
    table, _ = make(tmp_path / "v", [0], vocabulary)
    assert table[vocabulary.unk].tolist() == [0.5, 101.5, -5]
    missing = table[12:]
    np.testing.assert_allclose(missing.mean(axis=0), [0.5, 101.5, -5], atol=0.2)
    np.testing.assert_allclose(missing.std(axis=0), [0.5, 1.5, 0], atol=0.1)
    assert len(np.unique(missing[:, 0])) > 1900


def test_one_row_found_leaves_the_scale_to_the_config(tmp_path: Path) -> None:
    vocabulary = FakeVocabulary(["</s>", "the", *(f"missing{i}" for i in range(2000))])
    (tmp_path / "v").write_text("the 50 60 70\n")
    table, _ = make(tmp_path / "v", [0], vocabulary, scale=0.3)
    assert table[1].tolist() == [50, 60, 70]
    np.testing.assert_allclose(table[2:].std(axis=0), 0.3, rtol=0.1)


def test_unk_row_of_the_file_is_used(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("the 1 2 3\n<unk> 9 9 9\n")
    table, _ = make(tmp_path / "v", [0])
    assert table[VOCABULARY.unk].tolist() == [9, 9, 9]


# Tokens as words can be: anything but the two characters that divide rows. Surrogates are not text.
TOKENS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" \n"), min_size=1, max_size=5),
    min_size=1,
    max_size=6,
    unique=True,
)


@given(tokens=TOKENS, data=st.data(), d=st.integers(1, 4))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_saved_tables_come_back_bit_by_bit(tokens: list[str], data: st.DataObject, d: int, tmp_path: Path) -> None:
    number = st.floats(width=32, allow_nan=False, allow_infinity=False)
    values = data.draw(st.lists(number, min_size=len(tokens) * d, max_size=len(tokens) * d))
    table = np.array(values, np.float32).reshape(len(tokens), d)
    file.save(tmp_path / "v", tokens, table)
    again, match = read(tmp_path / "v", FakeVocabulary(tokens, line_end=tokens[0]), d)
    assert match.all()
    assert again.tobytes() == table.tobytes()


def test_characters_are_saved_by_their_spelling(tmp_path: Path) -> None:
    vocabulary = FakeVocabulary(["\n", " ", "a", "\\", "n"], unk=None, line_end="\n")
    table = np.arange(10, dtype=np.float32).reshape(5, 2)
    file.save(tmp_path / "v", [vocabulary.spell(i) for i in range(5)], table)
    again, match = read(tmp_path / "v", vocabulary, 2)
    assert (match == file.SPELLED).all()
    np.testing.assert_array_equal(again, table)


@pytest.mark.parametrize("token", ["", " ", "a b", "\n", "a\n"])
def test_tokens_that_the_format_cannot_hold_are_refused_and_nothing_is_written(token: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="word2vec's format needs a spelling"):
        file.save(tmp_path / "v", ["fine", token], np.zeros((2, 2), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_tables_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFiniteError, match="row 1"):
        file.save(tmp_path / "v", ["a", "b"], np.array([[1], [np.nan]], np.float32))


def test_gensim_reads_what_is_saved_and_we_read_what_gensim_saves(tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models")
    tokens = ["</s>", "the", "na\u00efve", "no\u00a0break", "\u3000"]
    table = np.random.default_rng(1).standard_normal((5, 7), dtype=np.float32) * np.float32(1e-3)
    file.save(tmp_path / "ours", tokens, table)
    vectors = models.KeyedVectors.load_word2vec_format(tmp_path / "ours")
    assert vectors.index_to_key == tokens
    assert vectors.vectors.tobytes() == table.tobytes()
    for binary in (False, True):
        vectors.save_word2vec_format(tmp_path / "theirs", binary=binary)
        again, match = read(tmp_path / "theirs", FakeVocabulary(tokens), 7)
        assert match.all()
        np.testing.assert_allclose(again, table, rtol=0 if binary else 1e-5)
