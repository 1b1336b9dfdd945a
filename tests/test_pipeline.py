"""All of ``rnnlm train``, as a task."""

from __future__ import annotations

import json
import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from small import settings, write_texts
from training_runs import log_of

import rnnlm
from rnnlm import pipeline
from rnnlm.corpora import cache
from rnnlm.evaluation.columns import DEFAULT
from rnnlm.evaluation.records import Baseline
from rnnlm.files import lock, log
from rnnlm.ngram import baseline as baseline_module
from rnnlm.ngram.baseline import _SECONDS, ngram, quick
from rnnlm.sampling.records import Samples
from rnnlm.work import Note, Progress, run_to_end


@pytest.mark.parametrize("last", [Progress, Samples])
def test_a_wish_to_stop_is_heard_before_and_after_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: type
) -> None:
    """Else Ctrl-C would do nothing while a large text is counted, or scored at the end."""
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)  # nothing is counted yet
    write_texts(tmp_path)
    seen: list[Any] = []
    work = pipeline.run(settings(tmp_path, epochs=1), stop=lambda: bool(seen) and isinstance(seen[-1], last))
    with pytest.raises(KeyboardInterrupt):
        seen.extend(work)  # one by one
    assert isinstance(seen[-1], last)
    assert (tmp_path / "run" / "model.safetensors").exists() == (last is Samples)
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_result_of_a_run(tmp_path: Path) -> None:
    write_texts(tmp_path)
    result = run_to_end(pipeline.run(settings(tmp_path, epochs=1)))
    assert result["reason"] == "epochs"
    assert (
        result["test"]["perplexity"] == rnnlm.load(tmp_path / "run").evaluate(path=tmp_path / "test.txt").perplexity
    )
    assert len(result["samples"]) == 3
    json.dumps(result)


def test_the_log_has_the_test_text(tmp_path: Path) -> None:
    """Of the best model, once, after the end; whatever goes on from a checkpoint has the same log."""
    write_texts(tmp_path)
    once, twice = settings(tmp_path, run="once", epochs=2), settings(tmp_path, run="twice", epochs=1)
    run_to_end(pipeline.run(once))
    run_to_end(pipeline.run(twice))
    longer = settings(tmp_path, run="twice", epochs=2)
    for _ in range(2):  # a run that is complete already leaves all as it is
        run_to_end(pipeline.run(longer, resume=True))
        assert log_of(longer)[1:] == log_of(once)[1:], "all but the plan"
    end, test = log.read(Path(once.run))[-2:]
    found = rnnlm.load(once.run).evaluate(path=tmp_path / "test.txt")
    assert (end["event"], test["event"]) == ("end", "test")
    assert test["perplexity"] == found.perplexity
    assert test["loss"] == pytest.approx(math.log(found.perplexity), rel=1e-12)
    assert (test["scored"], test["unknown"]) == (found.tokens, found.unknown)
    assert {key: test[key] for key in ("updates", "epoch", "tokens", "seconds")}.items() <= end.items()
    assert [record["event"] for record in log.read(Path(once.run))].count("test") == 1


@pytest.mark.parametrize("damage", ["deleted", "a folder", "a full disk", "another training"])
def test_a_log_without_the_test_text_never_fails_a_run(tmp_path: Path, damage: str) -> None:
    write_texts(tmp_path)
    config = settings(tmp_path, epochs=1)
    path, notes = Path(config.run) / "log.jsonl", []
    with ExitStack() as held:
        for record in (task := pipeline.run(config)):
            if isinstance(record, Samples):  # the training has ended
                if damage == "another training":
                    held.enter_context(lock.held(path.parent))
                else:
                    path.unlink()
                if damage == "a folder":
                    path.mkdir()
                elif damage == "a full disk":
                    path.symlink_to("/dev/full")
            if isinstance(record, Note) and record.warning:
                notes.append(record.text)
    assert task.gi_frame is None, "at its end"
    wanted = "another training has the folder" if damage == "another training" else ""
    assert [f"log.jsonl: not written any more: {wanted}" in note for note in notes] == [True]


def test_the_baseline_stands_beside_the_test_text(tmp_path: Path) -> None:
    """After training, and in ``rnnlm eval``, which reads it from the log."""
    write_texts(tmp_path)
    config = settings(tmp_path, epochs=1)
    found = run_to_end(pipeline.run(config))["test"]["baseline"]
    own = run_to_end(ngram(config, None, None))["test"]
    assert found == {
        "order": 5, "perplexity": own.perplexity, "perplexity_without_unk": own.perplexity_without_unk,
    }  # fmt: skip
    assert log.read(Path(config.run))[-1]["baseline"] == found
    model = rnnlm.load(config.run)

    def baseline(text: Path | None = None) -> Baseline | None:
        return run_to_end(pipeline.evaluate(model, text, None, None, DEFAULT)).baseline

    assert baseline() == Baseline(**found)
    path = Path(config.run) / log.LOG
    lines = path.read_text().splitlines()
    logged = {"order": 3, "perplexity": 7.5, "perplexity_without_unk": 6.5}
    for other, wanted in (
        (logged, Baseline(3, 7.5, 6.5)), ({"order": 3, "perplexity": 7.5}, Baseline(**found)),
        ({"order": "x"}, Baseline(**found)),
    ):  # fmt: skip
        record = json.dumps(json.loads(lines[-1]) | {"baseline": other})
        path.write_text("\n".join([*lines[:-1], record]) + "\n")
        assert baseline() == wanted, "one that is none is computed"
    assert baseline(tmp_path / "test.txt") == Baseline(**found)
    valid = run_to_end(ngram(config, None, None))["valid"]
    assert baseline(tmp_path / "valid.txt") == Baseline(5, valid.perplexity, valid.perplexity_without_unk)
    with open(tmp_path / "train.txt", "a") as file:
        file.write("another text\n")
    assert baseline(tmp_path / "test.txt") is None, "the training text is not there any more"


def test_no_baseline_that_would_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path)
    config = settings(tmp_path, epochs=1)
    run_to_end(pipeline.train(config, False, lambda: False))
    model = rnnlm.load(config.run)
    work = 5 * (int(model.vocabulary.counts.sum()) + 100)
    assert quick(model.vocabulary, 100, 1.01 * work * _SECONDS)
    assert not quick(model.vocabulary, 100, 0.99 * work * _SECONDS)
    monkeypatch.setattr(baseline_module, "_MOST", work)
    assert not quick(model.vocabulary, 100, 1e9)
    monkeypatch.undo()
    os.mkfifo(tmp_path / "pipe")
    found = run_to_end(model.evaluating(path=tmp_path / "test.txt"))
    assert run_to_end(pipeline.with_baseline(model, found, tmp_path / "pipe", 1e9)) == found
    assert run_to_end(pipeline.with_baseline(model, found, tmp_path / "test.txt", 1e9)).baseline is not None
