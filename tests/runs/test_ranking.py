"""Which runs are ranked together, in which order, and what is said of those that are not."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from records import run
from run_folders import records, write_records

from rnnlm.errors import InputError, ModelError
from rnnlm.files import model_file
from rnnlm.runs import folders
from rnnlm.runs.ranking import rank
from rnnlm.runs.records import Ranking
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end


def names(found: Ranking) -> list[list[str]]:
    return [[run.name for run in group.runs] for group in found.groups]


def test_runs_of_one_text_and_vocabulary_are_ranked_together(trained: Path) -> None:
    found, notes = run(rank([trained]))
    assert notes == []
    assert {frozenset(group) for group in names(found)} == {frozenset(["plain", "lstm", "ema"]), frozenset(["chars"])}
    words = next(group for group in found.groups if len(group.runs) == 3)
    perplexities = [run.best_perplexity for run in words.runs]
    assert perplexities == sorted(perplexities)
    assert words.keys == ("model.cell.type", "train.learning_rate", "train.average.type")
    assert (words.valid, words.tokens) == ("valid.txt", "16 words")
    assert words.shared == {"data.unit": "word"}
    chars = next(group for group in found.groups if len(group.runs) == 1)
    assert chars.keys == ()
    assert chars.shared["data.unit"] == "char"
    assert chars.shared["train.learning_rate"] == 0.02
    assert [note.partition(":")[0] for note in found.notes] == ["2 tables"]
    json.dumps(found.json())


def test_one_table_says_nothing_of_others(trained: Path) -> None:
    found = run_to_end(rank([trained / "plain", trained / "lstm", trained]))
    assert sorted(name for group in names(found) for name in group) == ["chars", "ema", "lstm", "plain"], (
        "each run once"
    )
    found = run_to_end(rank([trained / "plain", trained / "lstm"]))
    assert len(found.groups) == 1
    assert (found.notes, found.groups[0].shared) == ((), {})


def test_the_words_count_and_not_their_numbers(copied: Path) -> None:
    """A vocabulary with the same tokens in another order, with other counts, is the same; one with another token, or
    in lower case, is not."""

    def with_vocabulary(change: Callable[[list[str]], list[str]], lowercase: bool) -> int:
        found = model_file.load(copied / "lstm")
        tokens = change(list(found.vocabulary.tokens))
        own = Vocabulary(tokens, [1] * len(tokens), "word", lowercase)
        config = found.config.model_copy(
            update={"vocab": found.config.vocab.model_copy(update={"lowercase": lowercase})}
        )
        path = copied / "other" / "model.safetensors"
        model_file.save_model(path, config, own, found.parameters, found.training, found.initial)
        return len(run_to_end(rank([copied / "plain", copied / "other"])).groups)

    assert with_vocabulary(lambda tokens: tokens[::-1], False) == 1
    assert with_vocabulary(lambda tokens: ["new" if token == "dog" else token for token in tokens], False) == 2
    assert with_vocabulary(lambda tokens: tokens, True) == 2


def test_texts_are_told_apart_by_their_content(copied: Path, change_header: Callable[..., None]) -> None:
    texts = {"train": "a" * 64, "valid": "b" * 64, "test": "c" * 64}
    for name in ("plain", "lstm"):
        change_header(copied / name, texts=texts)
    both = [copied / "plain", copied / "lstm"]
    assert len(run_to_end(rank(both)).groups) == 1

    change_header(copied / "lstm", texts=texts | {"valid": "d" * 64})
    found = run_to_end(rank(both))
    assert [group.valid for group in found.groups] == ["valid.txt (dddddddd)", "valid.txt (bbbbbbbb)"]
    assert "ranked within each table" in found.notes[0]

    change_header(copied / "lstm", texts=texts | {"train": "d" * 64})
    found = run_to_end(rank(both))
    assert found.groups[0].keys[0] == "data.train"
    assert {run.settings["data.train"] for run in found.groups[0].runs} == {
        "train.txt (aaaaaaaa)", "train.txt (dddddddd)",
    }  # fmt: skip

    change_header(copied / "lstm", texts=texts | {"test": "d" * 64})
    found = run_to_end(rank(both))
    assert found.notes == (
        "the runs of valid.txt have different test texts: compare their validation perplexities alone",
    )

    for name in ("plain", "lstm"):
        change_header(copied / name, texts={})  # of an older version: nobody knows
    assert len(run_to_end(rank(both)).groups) == 2


def test_runs_without_validation_come_last(copied: Path, change_header: Callable[..., None]) -> None:
    change_header(copied / "plain", best_validation_perplexity=None, best_epoch=None)
    change_header(copied / "ema", best_validation_perplexity=math.inf)
    found = run_to_end(rank([copied / name for name in ("plain", "ema", "lstm")]))
    assert names(found)[0][0] == "lstm"
    change_header(copied / "plain", best_validation_perplexity=None, best_epoch=None, texts={})
    assert [group.valid for group in run_to_end(rank([copied / "plain"])).groups] == [None]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["ema", "lstm", "plain"]),
        ("test", ["lstm", "plain", "ema"]),
        ("time", ["plain", "ema", "lstm"]),
        ("validation", ["ema", "plain", "lstm"]),
        ("train.learning_rate", ["lstm", "ema", "plain"]),
        ("model.cell.type", ["ema", "plain", "lstm"]),
        ("train.average.type", ["ema", "plain", "lstm"]),
        ("parameters", ["ema", "plain", "lstm"]),
    ],
)
def test_the_order(copied: Path, change_header: Callable[..., None], sort: str, order: list[str]) -> None:
    figures: dict[str, tuple[float, Any, float]] = {
        "ema": (2.0, None, 20.0), "plain": (3.0, 9.0, 10.0), "lstm": (4.0, 8.0, 30.0),
    }  # fmt: skip
    for name, (valid, test, seconds) in figures.items():
        change_header(copied / name, best_validation_perplexity=valid)
        log = [{**record, "seconds": seconds} for record in records(copied / name)]
        write_records(copied / name, [*log[:-1], {**log[-1], "perplexity": test}])
    assert names(run_to_end(rank([copied / name for name in figures], sort))) == [order]


def test_what_cannot_be_read_is_noted(copied: Path) -> None:
    (copied / "lstm" / "model.safetensors").write_bytes(b"nothing")
    (copied / "ema" / "model.safetensors").unlink()
    (copied / "ema" / "state.safetensors").unlink()
    (copied / "notes.txt").write_text("mine")
    found, notes = run(rank([copied, copied / "notes.txt", copied / "nowhere"]))
    assert sorted(name for group in names(found) for name in group) == ["chars", "plain"]
    assert [note.warning for note in notes] == [True] * 4
    for start, note in zip(("notes.txt: not a folder", "nowhere: no such folder"), notes, strict=False):
        assert note.text.startswith(str(copied / start))
    assert notes[2].text == f"{copied / 'ema'}: there is no model.safetensors yet; the first checkpoint brings it"
    assert notes[3].text.startswith(f"{copied / 'lstm' / 'model.safetensors'}: not a whole safetensors file: ")


def test_nothing_is_left(copied: Path) -> None:
    shutil.rmtree(copied / "plain")
    with pytest.raises(ModelError, match=r"plain: no such folder; give a run's folder, or one that runs lie in$"):
        run_to_end(rank([copied / "plain"]))
    with pytest.raises(ModelError, match="^no run in any of these 2 places"):
        run_to_end(rank([copied / "plain", copied / "nowhere"]))


@pytest.mark.parametrize("sort", ["perplexity", "train", "train.threads", ""])
def test_keys_that_nothing_is_sorted_by(trained: Path, sort: str) -> None:
    with pytest.raises(InputError, match=f"--sort: found {sort}; must be one of validation, test, epoch"):
        run_to_end(rank([trained], sort))


def test_a_folder_that_cannot_be_read_is_noted(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "find", lambda folder: ([], [f"{folder}: Permission denied"]))
    with pytest.raises(ModelError, match=f"^{copied}: Permission denied$"):
        run_to_end(rank([copied]))
    monkeypatch.setattr(folders, "find", lambda folder: ([copied / "plain"], [f"{folder}: Permission denied"]))
    found, notes = run(rank([copied]))
    assert (names(found), [note.text for note in notes]) == ([["plain"]], [f"{copied}: Permission denied"])


def test_the_order_of_the_folders_does_not_matter(copied: Path) -> None:
    wanted = run_to_end(rank([copied / name for name in ("chars", "ema", "lstm", "plain")]))
    for order in itertools.permutations(("chars", "ema", "lstm", "plain")):
        assert run_to_end(rank([copied / name for name in order])) == wanted
