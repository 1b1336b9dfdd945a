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


def test_a_text_that_was_cut_is_called_by_what_it_was_cut_from(tmp_path: Path) -> None:
    (tmp_path / "my.txt").write_text("a b c\n" * 40 + "x y z\n" * 10)
    data = {"text": str(tmp_path / "my.txt"), "split": [0.8, 0.1, 0.1]}
    settings = config_file.validate({"data": data, "train": {"batch": 2, "bptt": 3}, "run": str(tmp_path / "run")})
    paths, _ = run(prepare.texts(settings))
    words, _ = run(prepare.build_vocabulary(settings, paths.train))
    _, records = run(prepare.encode(settings, paths, words))
    assert warnings(records)[0].startswith(f"{tmp_path / 'my.txt'} (its validation text): 75.0% of its tokens")
    larger = settings.model_copy(update={"train": settings.train.model_copy(update={"batch": 1000})})
    with pytest.raises(TextError, match=r"my.txt \(its training text\): 160 tokens, fewer than one window"):
        run(prepare.encode(larger, paths, words))


UNKNOWN = "of its tokens are not in the vocabulary"


def warnings(records: list[Any]) -> list[str]:
    return [record.text for record in records if isinstance(record, Note) and record.warning]


@pytest.mark.parametrize(
    ("strange", "advice"),
    [(0, None), (10, None), (11, ""), (50, ""), (51, "; is it the same"), (99, "; is it the same")],
)
def test_a_vocabulary_that_covers_little(tmp_path: Path, strange: int, advice: str | None) -> None:
    """A hundred tokens with the line's end: up to a tenth unknown is well; above half something is probably wrong."""
    valid = " ".join(["x"] * strange + ["a"] * (99 - strange)) + "\n"
    _, records = whole_way(tmp_path, "a b c d e\n", valid)
    found = warnings(records)
    assert len(found) == (advice is not None)
    assert not found or found[0].startswith(f"{tmp_path}/valid.txt: {strange}.0% {UNKNOWN}{advice}")


def test_a_vocabulary_that_covers_nothing(tmp_path: Path) -> None:
    with pytest.raises(TextError, match=rf"valid.txt: 99.5% {UNKNOWN}; is it the same"):
        whole_way(tmp_path, "a b c d e\n", "x " * 199 + "\n")


def test_rare_words_do_not_make_the_training_text_another_language(tmp_path: Path) -> None:
    """Where the vocabulary is its own, a high min_count is the reason; a vocabulary file may be another text's."""
    text = "a a a b c d e f g h\n"
    found, records = whole_way(tmp_path, text, "a a\n", vocab={"min_count": 3})
    assert found.train.counts.unknown == 7
    assert warnings(records) == [
        f"{tmp_path}/train.txt: 63.6% {UNKNOWN}; lower vocab.min_count or raise vocab.max_size"
    ]
    (tmp_path / "vocab.txt").write_text("a\t9\n")
    _, records = whole_way(tmp_path, text, "a a\n", vocab={"file": str(tmp_path / "vocab.txt")})
    assert warnings(records)[0].startswith(f"{tmp_path}/train.txt: 63.6% {UNKNOWN}; is it the same")


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


ORDER = (
    "model.output: adaptive takes the first tokens for the most frequent ones, and is slower and its perplexity "
    "higher where they are not"
)
UNSORTED = {
    (9, 5, 5, 1): None,
    (9, 5, 6, 1): "b stands 6 times, the token before it 5; sort the file by falling count",
    (0, 0, 0, 0): "</s> stands 0 times, the first token 0; give the counts of a text, and sort by them",
    (3, 3, 3, 3): "</s> stands 3 times, the first token 3; give the counts of a text, and sort by them",
    (9, 5, 0, 0): None,
}


@pytest.mark.parametrize("counts", UNSORTED, ids=str)
@pytest.mark.parametrize("output", ["softmax", "adaptive"])
def test_an_adaptive_softmax_over_a_file_that_is_not_sorted(
    tmp_path: Path, output: str, counts: tuple[int, ...]
) -> None:
    words = tmp_path / "words.txt"
    pairs = zip(["a", "</s>", "b", "<unk>"], counts, strict=True)
    words.write_text("".join(f"{word}\t{count}\n" for word, count in pairs))
    _, records = whole_way(tmp_path, "a b a b a\n", "a b\n", vocab={"file": str(words)}, model={"output": output})
    found = UNSORTED[counts] if output == "adaptive" else None
    assert warnings(records) == [f"{words}: {found}: {ORDER}"] * (found is not None)


def test_an_adaptive_softmax_over_a_file_without_a_line_end(tmp_path: Path) -> None:
    """It is put behind the others, where the rarest tokens are."""
    words = tmp_path / "words.txt"
    words.write_text("a\t9\nb\t5\n")
    _, records = whole_way(tmp_path, "a b a b a\n", "a b\n", vocab={"file": str(words)}, model={"output": "adaptive"})
    found = "</s> stands 0 times, the first token 9; give the counts of a text, and sort by them"
    assert warnings(records) == [f"{words}: {found}: {ORDER}"]
