"""What a run's folder says: figures, state, and damaged folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from run_folders import BROKEN_LOGS, records, write_records

import rnnlm
from rnnlm.errors import ModelError
from rnnlm.files import lock
from rnnlm.runs import folders, reading


@pytest.mark.parametrize("name", ["plain", "lstm", "ema", "chars"])
def test_figures_are_those_of_the_run(trained: Path, name: str) -> None:
    folder = trained / name
    found, log, model = reading.read(folder, name), records(folder), rnnlm.load(folder)
    valid = [record for record in log if record["event"] == "valid"]
    assert [(v.epochs, v.updates, v.seconds, v.perplexity) for v in found.validations] == [
        (r["epoch"], r["updates"], r["seconds"], r["perplexity"]) for r in valid
    ]
    best = min(valid, key=lambda record: record["perplexity"])
    assert (found.best_perplexity, found.best_epoch) == (best["perplexity"], best["epoch"])
    assert found.test_perplexity == model.evaluate(path=trained.parent / "test.txt").perplexity
    assert found.parameters == sum(value.size for value in model.parameters.values())
    assert (found.vocabulary, found.unit) == (len(model.vocabulary), model.config.data.unit)
    end = log[-2]
    assert (found.updates, found.epoch, found.seconds) == (end["updates"], end["epoch"], end["seconds"])
    assert (found.state, found.reason) == ("finished", "epochs")
    assert found.text_names == {key: f"{key}.txt" for key in ("train", "valid", "test")}


def test_a_best_inside_an_epoch(copied: Path, change_header: Callable[..., None]) -> None:
    log = records(copied / "plain")
    valid = {**next(r for r in log if r["event"] == "valid"), "epoch": 1, "share": 0.25, "perplexity": 1.5}
    write_records(copied / "plain", [*log, valid])
    change_header(copied / "plain", best_validation_perplexity=1.5, best_epoch=1)
    assert reading.read(copied / "plain", "").best_epoch == 1.25


def test_the_states_of_a_run(copied: Path) -> None:
    folder = copied / "plain"
    log = records(folder)
    end = next(i for i, record in enumerate(log) if record["event"] == "end")
    with lock.held(folder):
        assert reading.read(folder, "").state == "in progress"
    write_records(folder, log[:end])  # killed
    assert (reading.read(folder, "").state, reading.read(folder, "").test_perplexity) == ("stopped", None)
    write_records(folder, [*log[:end], {**log[end], "reason": "interrupted"}])
    assert (reading.read(folder, "").state, reading.read(folder, "").reason) == ("stopped", "interrupted")
    (folder / "log.jsonl").unlink()
    found = reading.read(folder, "")
    assert (found.state, found.seconds, found.updates, found.validations) == (None, None, None, ())
    assert found.best_perplexity is not None, "the model's own header has it"


def test_the_configuration_of_the_folder_is_the_last_one(copied: Path) -> None:
    path = copied / "plain" / "config.yaml"
    path.write_text(path.read_text().replace("epochs: 2", "epochs: 7"))
    assert reading.read(copied / "plain", "").settings["train.epochs"] == 7
    for content in (b"", b"\xff\xfe", b"data: [", b"model: {hidden: -1}"):
        path.write_bytes(content)
        assert reading.read(copied / "plain", "").settings["train.epochs"] == 2, "that of the model"
    path.unlink()
    assert reading.read(copied / "plain", "").settings["train.epochs"] == 2


@pytest.mark.parametrize("content", BROKEN_LOGS, ids=lambda content: ascii(content[:20]))
def test_a_broken_log_is_passed_over(copied: Path, content: bytes) -> None:
    path = copied / "plain" / "log.jsonl"
    whole = reading.read(copied / "plain", "")
    path.write_bytes(content + path.read_bytes())
    assert reading.read(copied / "plain", "").validations == whole.validations
    assert reading.read(copied / "plain", "").test_perplexity == whole.test_perplexity


@pytest.mark.parametrize("value", ["many", None, True, [], {}, "NaN", 10**400, float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["perplexity", "epoch", "share", "seconds"])
def test_numbers_of_the_log_that_are_none(copied: Path, key: str, value: Any) -> None:
    folder = copied / "plain"
    log = records(folder)
    valid = next(record for record in log if record["event"] == "valid")
    write_records(folder, [*log, {**valid, key: value}, {**log[-1], key: value}])
    found = reading.read(folder, "")
    assert len(found.validations) == 2
    assert found.test_perplexity is None or key != "perplexity"


def test_a_log_that_is_no_file(copied: Path) -> None:
    path = copied / "plain" / "log.jsonl"
    path.unlink()
    os.mkfifo(path)
    assert reading.read(copied / "plain", "").state is None, "nobody waits for a pipe"


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other header", "no model"])
def test_a_damaged_model_is_an_error_of_one_line(copied: Path, damage: str) -> None:
    path = copied / "plain" / "model.safetensors"
    (copied / "plain" / "state.safetensors").unlink()
    data = path.read_bytes()
    if damage == "no model":
        path.unlink()
    else:
        path.write_bytes(
            {"cut": data[:-9], "empty": b"", "text": b"hello\n"}.get(damage, data.replace(b"rate", b"rats"))
        )
    with pytest.raises(ModelError, match=rf"^{copied / 'plain'}[^\n]*$"):
        reading.read(copied / "plain", "")


def test_folders_are_searched_two_levels_deep(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    shutil.move(copied / "lstm", tmp_path / "a" / "lstm")
    shutil.move(copied / "ema", tmp_path / "a" / "b" / "c" / "ema")  # three below tmp_path / "a"
    shutil.move(copied / "chars", tmp_path / ".hidden")
    for folder, wanted in (
        (copied / "plain", [copied / "plain"]),
        (copied, [copied / "plain"]),
        (tmp_path, [tmp_path / "a" / "lstm", copied / "plain"]),
        (tmp_path / "a", [tmp_path / "a" / "lstm"]),
        (tmp_path / "a" / "b", [tmp_path / "a" / "b" / "c" / "ema"]),
    ):
        assert folders.find(folder) == (wanted, [])


def test_a_folder_that_cannot_be_read_stops_no_other(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / "closed").mkdir()
    iterdir = Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    problem = f"{copied / 'closed'}: Permission denied; give a folder that can be read"
    runs = [copied / name for name in ("chars", "ema", "lstm", "plain")]
    assert folders.find(copied) == (runs, [problem])
    assert folders.find(copied / "closed") == ([], [problem])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "nowhere: no such folder; give a run's folder"),
        ("file", "file: not a folder; give a run's folder"),
        ("empty", "empty: no run in it, or up to 2 levels below"),
        ("foreign", "foreign: no run in it, or up to 2 levels below"),
    ],
)
def test_places_without_runs(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "config.yaml").write_text("of: another program\n")
    with pytest.raises(ModelError, match=message):
        folders.find(tmp_path / name)
