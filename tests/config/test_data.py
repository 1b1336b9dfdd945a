"""The sections `data` and `vocab`."""

from __future__ import annotations

import os
from typing import Any

import pytest

from rnnlm.config.data import Data, Grammar, Vocab
from rnnlm.errors import ConfigError


def data(**values: Any) -> Data:
    return Data.model_validate(values)


def test_a_grammar_by_its_name_and_as_a_section() -> None:
    assert data(grammar="english").grammar == Grammar(type="english", sentences=[20000, 1000, 1000])
    assert data(grammar={"type": "own.yaml", "sentences": [1, 2, 3]}).grammar == Grammar(
        type="own.yaml", sentences=[1, 2, 3]
    )


def test_a_text_is_cut_as_its_split_says_or_by_the_default() -> None:
    assert data(text="a").split == [0.9, 0.05, 0.05]
    assert data(text="a", split=None).split == [0.9, 0.05, 0.05]
    assert data(text="a", split=[0.8, 0.2]).split == [0.8, 0.2]
    assert data(train="a").split is None


@pytest.mark.parametrize("source", ["train", "grammar"])
def test_a_split_goes_with_a_text(source: str) -> None:
    with pytest.raises(ValueError, match=f"split goes with text, not with {source}"):
        data(**{source: "english", "split": [0.9, 0.1]})


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({"train": "a"}, False),
        ({"train": "a", "valid": "b"}, True),
        ({"text": "a"}, True),
        ({"text": "a", "split": [0.9, 0, 0.1]}, False),
        ({"grammar": "english"}, True),
    ],
)
def test_whether_there_is_a_validation_text(values: dict[str, Any], there: bool) -> None:
    assert data(**values).has_validation is there


@pytest.mark.parametrize("cut", [{"min_count": 2}, {"max_size": 100}])
def test_a_vocabulary_file_is_taken_whole(cut: dict[str, int]) -> None:
    (key,) = cut
    assert Vocab.model_validate(cut).truncated_by == key
    with pytest.raises(ValueError, match=f"{key} goes with a vocabulary that is built; found file: v.txt"):
        Vocab.model_validate({"file": "v.txt", **cut})
    assert Vocab(file="v.txt", lowercase=True).truncated_by is None


def test_of_bytes_all_are_kept() -> None:
    from rnnlm.config import file as config_file

    with pytest.raises(ConfigError, match=r"vocab.min_count leaves tokens out; of bytes all 256 are"):
        config_file.validate({"data": {"train": "a", "unit": "byte"}, "vocab": {"min_count": 2}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tokenizer": "unicode", "unit": "char"}, "tokenizer: unicode goes with unit: word; found unit: char"),
        ({"tokenizer": "unicode", "unit": "byte"}, "tokenizer: unicode goes with unit: word; found unit: byte"),
        (
            {"encoding": "latin-1", "unit": "byte"},
            "encoding goes with unit: word, char or subword; unit: byte takes a text as",
        ),
        ({"encoding": "nonsense"}, "'nonsense' is no encoding of texts that Python knows; give utf-8, latin-1"),
        ({"encoding": "rot13"}, "'rot13' is no encoding of texts that Python knows"),
        ({"tokenizer": "moses"}, "'whitespace' or 'unicode'"),
        ({"tokenizer": "unicode", "unit": "subword"}, "tokenizer: unicode goes with unit: word; found unit: subword"),
        ({"subwords": "bpe"}, "subwords goes with unit: subword; found unit: word"),
        ({"subwords": "wordpiece", "unit": "subword"}, "'unigram', 'bpe', 'file'"),
        ({"subwords": {"type": "bpe", "size": 299}, "unit": "subword"}, "greater than or equal to 300"),
    ],
)
def test_tokenizers_and_encodings_that_do_not_fit(values: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data(train="a", **values)


def test_subwords_have_a_model() -> None:
    def model(**values: Any) -> dict[str, Any]:
        return data(train="a", unit="subword", **values).model_dump()["subwords"]

    assert model() == model(subwords="unigram") == {"type": "unigram", "size": 8000}
    assert model(subwords={"type": "bpe", "size": 300}) == {"type": "bpe", "size": 300}
    for path in ("my.model", "~/x/tokenizer.json"):
        assert model(subwords=path) == {"type": "file", "path": os.path.expanduser(path)}


def test_of_subwords_all_are_kept() -> None:
    from rnnlm.config import file as config_file

    with pytest.raises(ConfigError, match=r"vocab.max_size leaves tokens out; .* set data.subwords.size"):
        config_file.validate({"data": {"train": "a", "unit": "subword"}, "vocab": {"max_size": 500}})


def test_a_grammar_writes_utf_8() -> None:
    with pytest.raises(ValueError, match="encoding goes with a text of yours"):
        data(grammar="english", encoding="latin-1")
    assert data(grammar="english", encoding="UTF8", tokenizer="unicode").encoding_read == "utf-8"


def test_an_encoding_has_one_name_and_parts_of_a_text_are_in_utf_8() -> None:
    assert data(train="a").encoding_read == "utf-8"
    assert data(train="a", encoding="Latin-1").encoding_read == "iso8859-1"
    assert data(text="a", encoding="Latin-1").encoding == "iso8859-1"
    assert data(text="a", encoding="Latin-1").encoding_read == "utf-8"


def test_several_texts_with_their_weights() -> None:
    assert data(train=["a", {"path": "b", "weight": 2}, {"path": "c"}]).named("train") == [
        ("a", 1),
        ("b", 2),
        ("c", 1),
    ]
    assert data(train="a", valid=["b", "c"]).named("valid") == [("b", 1), ("c", 1)]
    assert data(train="a").named("valid") == data(train="a").named("test") == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train", [], "found an empty list; name at least one text"),
        ("train", ["a", 3], r"found 3 in the list; a text is a path, or {path: PATH, weight: 2}"),
        ("train", [{"weight": 2}], "found a text with the keys weight; its keys are path"),
        ("train", [{"path": "a", "times": 2}], "found a text with the keys path, times; its keys are path"),
        ("train", [{"path": "a", "weight": 0}], "found weight: 0 of a; how often a text is read is a whole number"),
        ("train", [{"path": "a", "weight": 1.5}], "found weight: 1.5 of a"),
        ("train", [{"path": "a", "weight": True}], "found weight: True of a"),
        ("train", [{"path": "a", "weight": 2**70}], "found weight: 1180591620717411303424 of a"),
        ("valid", [{"path": "a", "weight": 2}], r"found {'path': 'a', 'weight': 2} in the list; a text is a path$"),
        ("test", [], "found an empty list"),
    ],
)
def test_lists_of_texts_that_are_wrong(key: str, value: Any, message: str) -> None:
    from rnnlm.config import file as config_file

    with pytest.raises(ConfigError, match=rf"data.{key}: {message}") as caught:
        config_file.validate({"data": {"train": "a", key: value}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "state", "message"),
    [
        ({"shuffle": True}, "carry", "data.shuffle: true goes with train.state: reset; found train.state: carry"),
        ({"document": "blank_line"}, "reset", "data.document: blank_line goes with train.state: carry; found"),
    ],
)
def test_what_goes_with_a_state(keys: dict[str, Any], state: str, message: str) -> None:
    from rnnlm.config import file as config_file

    with pytest.raises(ConfigError, match=message):
        config_file.validate({"data": {"train": "a", **keys}, "train": {"state": state}})
