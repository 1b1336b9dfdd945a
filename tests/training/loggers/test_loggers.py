"""All loggers of a run: what never fails it, what a run that goes on has, and what the first record says."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from training_runs import stopped_run

from rnnlm.config.schema import Config
from rnnlm.errors import InputError
from rnnlm.files import run_folder
from rnnlm.kernels import cpu
from rnnlm.training.loggers.loggers import LOGGERS, check
from rnnlm.training.loop import train
from rnnlm.version import __version__
from rnnlm.work import Note

NAMES = [*LOGGERS]
FILES = {"csv": "updates.csv", "tensorboard": "events.out.tfevents.*"}


def made(make_config: Any, *names: str, **keys: Any) -> Config:
    config: Config = make_config(log={"every_updates": 3, "to": [*names]}, **keys)
    return config


def is_problem(record: Any) -> bool:
    return isinstance(record, Note) and record.warning and "the training goes on without it" in record.text


def problems(config: Config) -> list[str]:
    return [record.text for record in train(config) if is_problem(record)]


@pytest.mark.parametrize("package", [None, "csv"])
def test_tensorboard_without_its_package_is_refused_before_anything_is_written(
    make_config: Any, monkeypatch: pytest.MonkeyPatch, package: str | None
) -> None:
    config = made(make_config, *filter(None, [package]), "tensorboard")
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=re.escape("tensorboardX is not installed; install it: pip install '.[tens")):
        list(train(config))
    assert not [path for path in Path(config.run).glob("*") if path.name[0] != "."]
    check(make_config(log={"to": ["csv"]}).train.log)


@pytest.mark.parametrize("name", NAMES)
def test_a_logger_that_cannot_write_is_one_warning(
    make_config: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, at the second record."""
    config = made(make_config, name)
    kind, count = LOGGERS[name], iter(range(1000))

    class Full(kind):  # type: ignore[misc, valid-type]
        def add(self, record: Any) -> None:
            if next(count) == 1:
                raise OSError(28, "No space left on device")
            super().add(record)

    monkeypatch.setitem(LOGGERS, name, Full)
    (text,) = problems(config)
    assert re.fullmatch(rf"{config.run}/\S+: not written any more: No space left on device; the training .*", text)
    log = (Path(config.run) / "log.jsonl").read_text()
    assert json.loads(log.splitlines()[-1])["reason"] == "epochs"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("damage", ["a folder", "a full disk"])
def test_a_table_that_cannot_be_written_is_one_warning(make_config: Any, damage: str) -> None:
    config = made(make_config, "csv")
    folder = Path(config.run)
    folder.mkdir()
    if damage == "a folder":
        (folder / "validations.csv").mkdir()
    else:
        (folder / "validations.csv").symlink_to("/dev/full")
    (text,) = problems(config)
    assert text.startswith(f"{folder}/validations.csv: ")
    assert text.endswith("; the training goes on without it")


def test_a_warning_comes_at_once_and_the_others_go_on(make_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = (made(make_config, "csv", "tensorboard") for _ in range(2))
    list(train(whole))

    class Broken(LOGGERS["tensorboard"]):  # type: ignore[misc]
        def add(self, record: Any) -> None:
            raise RuntimeError("of a library")

    monkeypatch.setitem(LOGGERS, "tensorboard", Broken)
    records = list(train(broken))
    (place,) = [i for i, record in enumerate(records) if is_problem(record)]
    assert "events.out.tfevents" in records[place].text
    assert "of a library" in records[place].text
    assert 0 < place < len(records) / 2, "not at the end alone"
    columns = [(Path(c.run) / "updates.csv").read_text().splitlines() for c in (whole, broken)]
    assert [len(lines) for lines in columns] == [len(columns[0])] * 2


def test_no_logger_changes_the_training(make_config: Any) -> None:
    plain, all_of_them = made(make_config), made(make_config, *NAMES)
    for config in (plain, all_of_them):
        list(train(config))
    states = [(Path(c.run) / "log.jsonl").read_text() for c in (plain, all_of_them)]
    losses = [re.findall(r'"loss": [\d.]+', state) for state in states]
    assert len(losses[0]) > 5
    assert losses[0] == losses[1]
    assert not list(Path(plain.run).glob("*.csv")) + run_folder.event_files(Path(plain.run))


@pytest.mark.parametrize("name", NAMES)
def test_a_restart_removes_the_files(make_config: Any, name: str) -> None:
    config = made(make_config, name, epochs=1)
    list(train(config))
    folder = Path(config.run)
    assert list(folder.glob(FILES[name]))
    without = config.model_copy(update={"train": make_config(epochs=1).train})
    list(train(without, restart=True))
    assert not list(folder.glob(FILES[name]))


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_with_these_files_alone_can_hold_a_run(make_config: Any, name: str) -> None:
    """What is left of a run whose other files were removed."""
    config = made(make_config, name, epochs=1)
    list(train(config))
    for path in Path(config.run).iterdir():
        if not path.match(FILES[name]):
            path.unlink()
    run_folder.check(Path(config.run))


def test_the_first_record_says_where_the_run_comes_from(make_config: Any) -> None:
    one, other, changed = make_config(), make_config(threads=1), make_config(bptt=6)
    found = []
    for config in (one, other, changed):
        stopped_run(config, (4,))  # the record of the beginning stays when a run goes on
        lines = [json.loads(line) for line in (Path(config.run) / "log.jsonl").read_text().splitlines()]
        assert [line["event"] for line in lines].count("start") == 1
        found.append(lines[0])
    assert {k: found[0][k] for k in ("event", "updates", "version", "threads", "ranks", "products", "processor")} == {
        "event": "start", "updates": 0, "version": __version__, "threads": 2, "ranks": 1, "products": "float32",
        "processor": cpu.NAME,
    }  # fmt: skip
    assert found[0]["texts"] == {
        name: hashlib.sha256(Path(str(getattr(one.data, name))).read_bytes()).hexdigest()
        for name in ("train", "valid")
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found[0]["started"])
    hashes = [record["config_sha256"] for record in found]
    assert re.fullmatch("[0-9a-f]{64}", hashes[0])
    assert hashes[0] == hashes[1], "another folder and other threads train the same"
    assert hashes[0] != hashes[2]


def test_problems_of_the_log_itself_are_told_once(make_config: Any) -> None:
    config = made(make_config, *NAMES, epochs=1)
    path = Path(config.run) / "log.jsonl"
    path.parent.mkdir()
    os.mkfifo(path)
    (text,) = problems(config)
    assert "log.jsonl: not written any more: " in text
    assert len((path.parent / "validations.csv").read_text().splitlines()) == 2
