"""Tables of items: against sums of the oracle's scores; what is kept of a table; tables that are wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from networks import config, network

from rnnlm.errors import InputError, TextError
from rnnlm.evaluation import item_files, item_formats
from rnnlm.evaluation.item_files import Columns, ItemTable, parse
from rnnlm.evaluation.regions import Sentence, score_sentences
from rnnlm.network.network import Network
from rnnlm.text import tokenizers
from rnnlm.text.vocabulary import Vocabulary

WORDS = Vocabulary([*"abcde", "<unk>", "</s>"], [1] * 7, "word", False)
CHARACTERS = Vocabulary([*"abcdei ", "\u0307", "<unk>", "\n"], [1] * 10, "char", True)
BYTES = Vocabulary([chr(value) for value in range(256)], [1] * 256, "byte", False)
units = pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS, BYTES], ids=["word", "char", "byte"])

TABLE = (
    "subject\titem\troi\ttoken\trt\n"
    "s1\t1\tnp\ta b\t310\n"
    "s1\t1\tverb\tzz\t290\n"
    "s1\t1\tverb\tc\t300\n"
    "s1\t2\tnp\té\t280\n"
    's1\t2\tend\t"e ""a"" e"\t280\n'
)
# By row of the table: its item and its words.
ROWS = [(0, "a b"), (0, "zz"), (0, "c"), (1, "é"), (1, 'e "a" e')]
REGIONS = [[0], [1, 2], [3], [4]]


def small(vocabulary: Vocabulary) -> Network:
    return network(config(precision="float64"), len(vocabulary), deviation=0.4)


def nats(net: Network, vocabulary: Vocabulary, line_end: bool = True) -> list[list[tuple[str, float]]]:
    """By row of the table, each word and its log-probability, from the oracle's for every token: a word of
    characters or bytes has the space or line end behind it, too."""
    found: list[list[tuple[str, float]]] = []
    for item in range(2):
        words = [word for own, text in ROWS if own == item for word in text.split()]
        tokens = [*tokenizers.split(" ".join(words), vocabulary.unit, vocabulary.lowercase)]
        tokens.append(tokenizers.line_end(vocabulary.unit))
        ids = vocabulary.to_unk(vocabulary.encode(tokens))
        scores = oracle.log_probabilities(net.named, ids, vocabulary.line_end, "tanh")
        if not line_end:
            scores = scores[:-1]
        lengths = [1] * len(words)
        if vocabulary is not WORDS:
            lengths = [len(tokenizers.split(f"{word} ", vocabulary.unit, vocabulary.lowercase)) for word in words]
        starts = np.concatenate(([0], np.cumsum(lengths)))
        each = [(word, float(scores[a:b].sum())) for word, a, b in zip(words, starts[:-1], starts[1:], strict=True)]
        for own, text in ROWS:
            if own == item:
                count = len(text.split())
                found.append(each[:count])
                each = each[count:]
    return found


def written(
    vocabulary: Vocabulary, folder: Path, name: str = "tsv", by: str | None = None, columns: str | None = None,
    text: str = TABLE, line_end: bool = True, what: str = "item,roi,token",
) -> str:  # fmt: skip
    path = folder / "items.tsv"
    path.write_text(text, encoding="utf-8")
    table = ItemTable(path, parse(what), vocabulary)
    wanted = item_formats.chosen(name, by, False, columns, vocabulary, table)
    net, made = small(vocabulary), wanted.header()
    for items in table.blocks():
        sentences = [Sentence(item.rows[0].number, [row.text for row in item.rows]) for item in items]
        found = score_sentences(net, vocabulary, sentences, table.source, line_end, wanted.details)
        made += wanted.rows(items, found)
    return made


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t"))


@units
@pytest.mark.parametrize("line_end", [True, False])
def test_regions_and_words_are_sums_of_the_oracles(vocabulary: Vocabulary, line_end: bool, tmp_path: Path) -> None:
    wanted = nats(small(vocabulary), vocabulary, line_end)
    rows = rows_of(written(vocabulary, tmp_path, line_end=line_end))
    assert [row["roi"] for row in rows] == ["np", "verb", "np", "end"]
    for row, own in zip(rows, REGIONS, strict=True):
        words = [word for i in own for word in wanted[i]]
        total = sum(score for _, score in words)
        assert row["token"] == " ".join(word for word, _ in words)
        assert int(row["words"]) == len(words)
        assert float(row["log_probability"]) == pytest.approx(total, rel=1e-12)
        assert float(row["surprisal_bits"]) == pytest.approx(-total / math.log(2), rel=1e-12)
    rows = rows_of(written(vocabulary, tmp_path, by="word", line_end=line_end))
    each = [pair for row in wanted for pair in row]
    assert [row["token"] for row in rows] == [word for word, _ in each], "no row of a line end"
    for row, (_, score) in zip(rows, each, strict=True):
        assert float(row["surprisal_bits"]) == pytest.approx(-score / math.log(2), rel=1e-12)
    assert [row["position"] for row in rows] == ["1", "2", "3", "4", "1", "2", "3", "4"]


def test_unknown_words_are_counted(tmp_path: Path) -> None:
    assert [row["unknown"] for row in rows_of(written(WORDS, tmp_path))] == ["0", "1", "1", "1"]
    assert [row["tokens"] for row in rows_of(written(WORDS, tmp_path))] == ["2", "2", "1", "3"]
    assert [row["unknown"] for row in rows_of(written(CHARACTERS, tmp_path))] == ["0", "1", "1", "1"]
    assert {row["unknown"] for row in rows_of(written(BYTES, tmp_path))} == {"0"}


def test_the_columns_of_the_table_are_kept(tmp_path: Path) -> None:
    text = written(WORDS, tmp_path)
    assert text.splitlines()[0] == (
        "subject\titem\troi\ttoken\trt\twords\ttokens\tunknown\tlog_probability\tsurprisal_bits"
    )
    rows = rows_of(text)
    assert [row["rt"] for row in rows] == ["310", "", "280", "280"], "nothing where the rows of a region differ"
    assert [row["subject"] for row in rows] == ["s1"] * 4
    words = rows_of(written(WORDS, tmp_path, by="word", columns="surprisal_bits"))
    assert list(words[0]) == ["subject", "item", "roi", "token", "rt", "surprisal_bits"]
    assert [row["rt"] for row in words] == ["310", "310", "290", "300", "280", "280", "280", "280"]
    assert [row["token"] for row in words][-2] == '"a"'


@units
@pytest.mark.parametrize("by", ["region", "word"])
def test_tables_and_objects_have_the_same(vocabulary: Vocabulary, by: str, tmp_path: Path) -> None:
    rows = rows_of(written(vocabulary, tmp_path, "tsv", by, "all"))
    objects = [json.loads(line) for line in written(vocabulary, tmp_path, "jsonl", by, "all").splitlines()]
    for row, found in zip(rows, objects, strict=True):
        assert row.keys() == found.keys()
        for name, cell in row.items():
            assert cell == found[name] if isinstance(found[name], str) else float(cell) == found[name], name


def test_pandas_merges_it_with_reading_times(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    scores = pandas.read_csv(io.StringIO(written(WORDS, tmp_path)), sep="\t")
    times = pandas.read_csv(io.StringIO(TABLE), sep="\t").groupby(["item", "roi"])["rt"].sum().reset_index()
    merged = times.merge(scores, on=["item", "roi"], suffixes=("", "_of_item"))
    assert dict(zip(merged["roi"], merged["rt"], strict=True)) == {"np": 280, "verb": 590, "end": 280}
    assert merged["surprisal_bits"].notna().all()


def test_blocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written(WORDS, tmp_path)
    real = item_files.lines

    def one_by_one(path: Path, unit: str, encoding: str) -> Any:
        for block in real(path, unit, encoding):
            yield from ([line] for line in block)

    monkeypatch.setattr(item_files, "lines", one_by_one)
    assert [row["log_probability"] for row in rows_of(written(WORDS, tmp_path))] == pytest.approx(
        [row["log_probability"] for row in rows_of(whole)]
    )


def test_two_columns_tell_items_apart(tmp_path: Path) -> None:
    text = "item\tcond\troi\tword\n1\tx\t1\ta\n1\tx\t2\tb\n1\ty\t1\ta\n1\ty\t2\tc\n"
    rows = rows_of(written(WORDS, tmp_path, text=text, what="item+cond,roi,word"))
    assert [(row["cond"], row["roi"]) for row in rows] == [("x", "1"), ("x", "2"), ("y", "1"), ("y", "2")]
    assert rows[0]["surprisal_bits"] == rows[2]["surprisal_bits"], "each begins as a text does"
    with pytest.raises(TextError, match=r":4: region 1 of item 1 comes again; .*item\+condition"):
        written(WORDS, tmp_path, text=text, what="item,roi,word")


def test_comma_separated_and_packed_tables(tmp_path: Path) -> None:
    path = tmp_path / "items.csv.gz"
    path.write_bytes(gzip.compress(b'\xef\xbb\xbfi,r,w\r\n1,1,"a, b"\r\n'))
    table = ItemTable(path, Columns(("i",), "r", "w"), WORDS)
    assert table.names == ["i", "r", "w"]
    assert [row.text for items in table.blocks() for item in items for row in item.rows] == ["a, b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "items.tsv: empty; give a table with a header"),
        (b"\n1\t1\ta\n", "items.tsv:1: an empty line; the first line is the header"),
        (b"item\troi\ttoken\n", "items.tsv: a header and no row; give at least one"),
        (b"item\troi\tword\n1\t1\ta\n", "items.tsv:1: there is no column 'token'; there are item, roi, word"),
        (b"item\troi\ttoken\ttoken\n", "items.tsv:1: the column 'token' is there twice"),
        (b"item\troi\ttoken\n1\t1\n", "items.tsv:2: 2 columns, where the header has 3"),
        (b"item\troi\ttoken\n1\t1\ta\tb\n", "items.tsv:2: 4 columns, where the header has 3"),
        (b"item\troi\ttoken\n1\t1\ta\n\n", "items.tsv:3: an empty line; each line is a row"),
        (b"item\troi\ttoken\n1\t1\t \n", "items.tsv:2: token is empty; must be a word or several"),
        (b"item\troi\ttoken\n1\t1\ta\n1\t2\tb </s>\n", "items.tsv:3: found the word </s>"),
        (
            b"item\troi\ttoken\n1\t1\ta\n2\t1\ta\n1\t1\ta\n",
            "items.tsv:4: item 1 comes again; the rows",
        ),
        (b"item\troi\ttoken\n1\t1\ta\n1\t2\ta\n1\t1\ta\n", "items.tsv:4: region 1 of item 1 comes again; must"),
        (b"item\troi\ttoken\n1\t1\t\xff\n", "items.tsv:2: not UTF-8 at byte 5 of the line"),
        (
            b'item\troi\ttoken\n1\t1\t"a\n',
            "items.tsv:2: a quote is opened and not closed; a cell",
        ),
    ],
)
def test_tables_that_are_wrong(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "items.tsv"
    path.write_bytes(content)
    with pytest.raises(TextError) as found:
        list(ItemTable(path, parse("item,roi,token"), WORDS).blocks())
    assert message in str(found.value)


@pytest.mark.parametrize("text", ["item,region", "a,b,c,d", "", "a,,c", "a,a,b", "a+b,b,c", "a,b,a"])
def test_columns_that_are_wrong(text: str) -> None:
    with pytest.raises(InputError, match="--input-columns: "):
        parse(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kaldi", None, False, None, "word"), "--format kaldi is of texts"),
        (("tsv", "line", False, None, "word"), "--by line is of texts"),
        (("tsv", None, True, None, "word"), "--ids is of texts"),
        (("tsv", None, False, "position", "word"), "'position': no such column; there are words, "),
        (("tsv", "word", False, "entropy_bits", "char"), "'entropy_bits': no such column"),
        (("tsv", None, False, None, "word"), "items.tsv:1: it has a column tokens already"),
    ],
)
def test_options_that_do_not_go_together(arguments: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "items.tsv"
    path.write_text("item\troi\tword\ttokens\n1\t1\ta\t1\n")
    table = ItemTable(path, parse("item,roi,word"), WORDS)
    with pytest.raises(InputError, match=message):
        item_formats.chosen(*arguments[:-1], WORDS if arguments[-1] == "word" else CHARACTERS, table)
