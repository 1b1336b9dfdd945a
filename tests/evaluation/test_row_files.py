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
    "value",
    [
        "",
        "one",
        "1_0",
        "\u0663",
        "\uff11",
        "nan",
        "inf",
        "1e999",
        float("nan"),
        float("inf"),
        None,
        True,
        [],
        {},
        10**400,
    ],
)
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(TextError, match="x:1: a: found .*; must be a number"):
        number_field({"a": value}, "a", "x:1")


def test_columns_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("a\tb\ta\n1\t2\t3\n")
    with pytest.raises(TextError, match="x.tsv:1: the column 'a' is there twice"):
        list(table(path))


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ('""', ""),
        ('"the dog"', "the dog"),
        ('"a ""bird"" sings"', 'a "bird" sings'),
        ('""""', '"'),
        # As they stand: not whole, or with a double quote that stands alone.
        ('"', '"'),
        ('"""', '"""'),
        ('"a" b', '"a" b'),
        ('a "b"', 'a "b"'),
        ('"a" and "b"', '"a" and "b"'),
        (' "a"', ' "a"'),
        ('\\"', '\\"'),
        ("'a'", "'a'"),
    ],
)
def test_quoted_fields(tmp_path: Path, cell: str, found: str) -> None:
    path = tmp_path / "x.tsv"
    path.write_text(f'a\tb\n1\t{cell}\n"2"\t\n')
    assert [row for _, row in table(path)] == [{"a": "1", "b": found}, {"a": "2", "b": ""}]
    path.write_text(f"{cell}\n1\n")
    assert [row for _, row in table(path)] == [{found: "1"}]


def test_names_of_columns_in_quotes(tmp_path: Path) -> None:
    """As R writes them."""
    path = tmp_path / "x.tsv"
    path.write_text('"a"\t"b"\n"x"\t1.5\n')
    assert [row for _, row in table(path)] == [{"a": "x", "b": "1.5"}]
    path.write_text('"a"\ta\n1\t2\n')
    with pytest.raises(TextError, match="x.tsv:1: the column 'a' is there twice"):
        list(table(path))


def test_tables_of_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    texts = ['a "bird"', '"', "", '"whole"', "plain", '"a" and "b"']
    pandas.DataFrame({"text": texts, "score": range(6)}).to_csv(tmp_path / "x.tsv", sep="\t", index=False)
    assert [row["text"] for _, row in table(tmp_path / "x.tsv")] == texts
