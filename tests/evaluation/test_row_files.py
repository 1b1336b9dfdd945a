"""Rows of TSV and JSONL files, and their fields; see test_pairs.py for what both formats refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnlm.errors import TextError
from rnnlm.evaluation.row_files import number_field, table


@pytest.mark.parametrize(("value", "found"), [("1.5", 1.5), ("-2e3", -2000.0), (3, 3.0), (0.25, 0.25), (" 7 ", 7.0)])
def test_numbers(value: object, found: float) -> None:
    assert number_field({"a": value}, "a", "x:1") == found


@pytest.mark.parametrize(
    "value", ["", "one", "nan", "inf", "1e999", float("nan"), float("inf"), None, True, [], {}, 10**400]
)
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(TextError, match="x:1: a: found .*; must be a number"):
        number_field({"a": value}, "a", "x:1")


def test_columns_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("a\tb\ta\n1\t2\t3\n")
    with pytest.raises(TextError, match="x.tsv:1: the column 'a' is there twice"):
        list(table(path))
