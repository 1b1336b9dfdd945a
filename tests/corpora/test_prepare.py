"""Texts, vocabulary and encoded corpora of a configuration; texts that are missing, too short or of another
vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from records import run

from rnnlm.config import file as config_file
from rnnlm.corpora import prepare
from rnnlm.errors import TextError
from rnnlm.work import Note, Task


def whole_way(folder: Path, train: str, valid: str, **sections: Any) -> tuple[Any, list[Any]]:
    for name, text in (("train", train), ("valid", valid)):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    config = config_file.validate(
        {
            "data": {name: str(folder / f"{name}.txt") for name in ("train", "valid")},
            "run": str(folder / "run"),
            "train": {"batch": 2, "bptt": 3},
            **sections,
        }
    )

    def task() -> Task[prepare.Corpora]:
        texts = yield from prepare.texts(config)
        words = yield from prepare.build_vocabulary(config, texts.train)
        return (yield from prepare.encode(config, texts, words))

    return run(task())


def test_a_text_shorter_than_one_window_of_the_batch(tmp_path: Path) -> None:
    found, _ = whole_way(tmp_path, "a b c d e\n", "a b\n")
    assert (len(found.train), len(found.valid), found.tokens) == (6, 3, 9)
    with pytest.raises(
        TextError,
        match=r"train.txt: 5 tokens, fewer than one window of the batch \(train.batch 2 x train.bptt 3 = 6\)",
    ):
        whole_way(tmp_path, "a b c d\n", "a b\n")


@pytest.mark.parametrize(("strange", "outcome"), [(0, "well"), (1, "well"), (2, "note"), (5, "note"), (6, "error")])
def test_a_vocabulary_that_covers_little(tmp_path: Path, strange: int, outcome: str) -> None:
    """Ten tokens with the line's end: up to one in ten unknown is well, up to half worth a word."""
    valid = " ".join(["x"] * strange + ["a"] * (9 - strange)) + "\n"
    if outcome == "error":
        with pytest.raises(
            TextError, match=r"valid.txt: 60% of its tokens are not in the vocabulary; is it the same"
        ):
            whole_way(tmp_path, "a b c d e\n", valid)
        return
    _, records = whole_way(tmp_path, "a b c d e\n", valid)
    notes = [record.text for record in records if isinstance(record, Note) and record.warning]
    assert len(notes) == (outcome == "note")


def test_the_vocabulary_is_of_the_training_text_alone(tmp_path: Path) -> None:
    found, _ = whole_way(tmp_path, "a a b b c c\n", "a b new\n")
    assert set(found.train.vocabulary.tokens) == {"a", "b", "c", "<unk>", "</s>"}
    assert found.valid.counts.unknown == 1


@pytest.mark.parametrize("name", ["train", "valid"])
def test_an_empty_text_is_found_before_anything_is_counted(tmp_path: Path, name: str) -> None:
    given_texts = {"train": "a b c d e\n", "valid": "a b\n", name: ""}
    with pytest.raises(TextError, match=f"{name}.txt: empty; give a text with at least one token"):
        whole_way(tmp_path, **given_texts)
    assert not (tmp_path / "run").exists()


def test_a_file_of_words_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("a\t9\nb\t5\n")
    found, _ = whole_way(tmp_path, "a b a b a c\n", "a b\n", vocab={"file": str(tmp_path / "vocab.txt")})
    assert found.train.vocabulary.tokens == ("a", "b", "<unk>", "</s>")
    assert found.train.counts.unknown == 1
