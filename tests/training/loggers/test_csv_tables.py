"""The log as two CSV files."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from training_runs import CLOCK

from rnnlm.config.schema import Config
from rnnlm.training.loggers.csv_tables import CsvTables
from rnnlm.training.loop import train
from rnnlm.training.records import Updates, Valid

TABLES = {"updates.csv": ("updates", Updates), "validations.csv": ("valid", Valid)}
KEYS = dict(log={"every_updates": 3, "to": ["csv"]}, validate={"every_updates": 8}, patience=None)


def table(config: Config, name: str) -> list[dict[str, str]]:
    with open(Path(config.run) / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", TABLES)
def test_a_row_a_record_with_all_its_digits(make_config: Any, name: str) -> None:
    event, kind = TABLES[name]
    config = make_config(**KEYS)
    records = [record for record in train(config) if isinstance(record, kind)]
    rows = table(config, name)
    assert len(rows) == len(records) > 3
    for row, record in zip(rows, records, strict=True):
        values = vars(record)
        assert values["event"] == event
        assert [*row] == [name for name in values if name != "event"]
        for column, text in row.items():
            value = values[column]
            assert text == str(value).lower() if isinstance(value, bool) else float(text) == value, column


@pytest.mark.parametrize("name", TABLES)
def test_a_run_that_goes_on_has_the_rows_of_one_that_never_stopped(make_config: Any, name: str) -> None:
    whole = make_config(**KEYS)
    list(train(whole))
    stopped = make_config(**KEYS)
    remaining = iter(range(100))
    list(train(stopped, stop=lambda: next(remaining) == 6))
    with open(Path(stopped.run) / name, "a") as file:
        file.write("9,0,180\n9,")  # written after the checkpoint, then killed
    list(train(stopped, resume=True))
    assert_same_rows(whole, stopped, name)


def assert_same_rows(one: Config, other: Config, name: str) -> None:
    first, second = (
        [{key: text for key, text in row.items() if key not in CLOCK} for row in table(config, name)]
        for config in (one, other)
    )
    assert first == second


@pytest.mark.parametrize("name", TABLES)
def test_a_run_that_had_no_tables_gets_them_whole(make_config: Any, name: str) -> None:
    whole, later = make_config(**KEYS), make_config(**KEYS | {"log": {"every_updates": 3}})
    list(train(whole))
    remaining = iter(range(100))
    list(train(later, stop=lambda: next(remaining) == 9))
    assert not (Path(later.run) / name).exists()
    now = later.model_copy(update={"train": whole.train})
    list(train(now, resume=True))
    assert_same_rows(whole, now, name)


def test_what_is_no_number_is_an_empty_cell(tmp_path: Path) -> None:
    """As `files.log.plain` has an infinite perplexity, and an older version a record without a field."""
    logger = CsvTables(tmp_path)
    logger.open(5, [{"event": "updates", "updates": 5, "perplexity": None}, {"event": "valid", "updates": "x"}])
    logger.add({"event": "updates", "updates": 6, "loss": 1.5})
    logger.add({"event": "end", "updates": 6, "reason": 'a "word",'})
    logger.close()
    rows = (tmp_path / "updates.csv").read_text().splitlines()
    assert rows[1:] == ["5,,,,,,,,", "6,,,,1.5,,,,"]


def test_the_readers_that_people_use(make_config: Any) -> None:
    """NumPy by its names of columns; JSON's words for truth, which pandas and R read as such."""
    np = pytest.importorskip("numpy")
    config = make_config(**KEYS)
    list(train(config))
    found = np.genfromtxt(
        Path(config.run) / "validations.csv", delimiter=",", names=True, dtype=None, encoding="utf-8"
    )
    log = [json.loads(line) for line in (Path(config.run) / "log.jsonl").read_text().splitlines()]
    wanted = [record for record in log if record["event"] == "valid"]
    for name in ("loss", "perplexity", "best", "updates"):
        assert found[name].tolist() == [record[name] for record in wanted]
    assert math.isfinite(found["perplexity"].sum())
