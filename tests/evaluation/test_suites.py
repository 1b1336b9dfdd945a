"""Test suites of SyntaxGym: against sums of the oracle's scores, and suites that are wrong."""

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
from scipy import stats

from rnnlm.errors import TextError
from rnnlm.evaluation import suites as suites_module
from rnnlm.evaluation.suite_files import Suite, read
from rnnlm.evaluation.suites import Results, accuracies, mean_accuracy, score_suites, table
from rnnlm.network.network import Network
from rnnlm.text import tokenizers
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end

WORDS = Vocabulary([*"abcdefgh", "<unk>", "</s>"], [1] * 10, "word", False)
CHARACTERS = Vocabulary([*"abcdefgh ", "<unk>", "\n"], [1] * 11, "char", False)
units = pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS], ids=["word", "char"])

FORMULAS = ["(2;%good%) < (2;%bad%)", "[(*;%bad%) - (*;%good%)] > 0 & (3;%good%) < (3;%bad%)"]


def suite_of(items: int = 30, formulas: list[str] = FORMULAS) -> dict[str, Any]:
    """Three regions of some words, the last one often empty; some words are unknown."""
    generator = np.random.default_rng(5)

    def words(fewest: int, most: int) -> str:
        return " ".join(generator.choice([*"abcdefgh", "zz"], int(generator.integers(fewest, most + 1))))

    def regions() -> list[dict[str, Any]]:
        return [{"region_number": i, "content": words(int(i < 3), 2)} for i in (1, 2, 3)]

    return {
        "meta": {"name": "drawn", "metric": "sum", "author": ""},
        "region_meta": {"1": "x", "2": "y", "3": "z"},
        "predictions": [{"type": "formula", "formula": formula} for formula in formulas],
        "items": [
            {
                "item_number": 7 * number,
                "conditions": [{"condition_name": name, "regions": regions()} for name in ("good", "bad")],
            }
            for number in range(items)
        ],
    }


def written(folder: Path, suite: Any, name: str = "suite.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(suite))
    return path


def small(vocabulary: Vocabulary) -> Network:
    return network(config(precision="float64"), len(vocabulary), deviation=0.5)


def bits(net: Network, vocabulary: Vocabulary, texts: list[str], line_end: bool = True) -> list[float]:
    """The surprisal of each region by the oracle: a word of characters has the space or line end behind it, a
    sentence of words has its line end in its last region that is not empty."""
    words = " ".join(texts).split()
    tokens = [*tokenizers.split(" ".join(words), vocabulary.unit, False), tokenizers.line_end(vocabulary.unit)]
    ids = vocabulary.to_unk(vocabulary.encode(tokens))
    nats = oracle.log_probabilities(net.named, ids, vocabulary.line_end, "tanh")
    if not line_end:
        nats = nats[:-1]
    found, first = [], 0
    for i, text in enumerate(texts):
        own = text.split()
        stop = first + (len(own) if vocabulary is WORDS else sum(len(word) + 1 for word in own))
        if own and not any(texts[i + 1 :]):
            stop = len(nats)
        found.append(-float(nats[first:stop].sum()) / math.log(2))
        first = max(first, stop)
    return found


def score(suites: list[Suite], vocabulary: Vocabulary, **how: bool) -> Results:
    return run_to_end(score_suites(small(vocabulary), vocabulary, suites, **how))


@units
@pytest.mark.parametrize("line_end", [True, False])
@pytest.mark.parametrize("together", [3, 1000])
def test_regions_are_sums_of_the_oracles(
    vocabulary: Vocabulary, line_end: bool, together: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suites_module, "TOGETHER", together)
    given, net = suite_of(), small(vocabulary)
    results = score([read(written(tmp_path, given))], vocabulary, line_end=line_end)
    rows = iter(results.regions)
    empty = 0
    for item in given["items"]:
        for condition in item["conditions"]:
            texts = [region["content"] for region in condition["regions"]]
            for number, text, wanted in zip((1, 2, 3), texts, bits(net, vocabulary, texts, line_end), strict=True):
                row = next(rows)
                assert (row.suite, row.item, row.condition) == (
                    "drawn",
                    item["item_number"],
                    condition["condition_name"],
                )
                assert (row.region, row.content, row.words) == (number, text, len(text.split()))
                assert row.unknown == text.split().count("zz")
                assert row.surprisal_bits == pytest.approx(wanted, rel=1e-12, abs=1e-12)
                empty += text == ""
                assert text or str(row.surprisal_bits) == "0.0"
    assert next(rows, None) is None
    assert empty > 5


@units
def test_predictions_and_accuracies(vocabulary: Vocabulary, tmp_path: Path) -> None:
    given, net = suite_of(), small(vocabulary)
    first = read(written(tmp_path, given))
    given["meta"]["name"] = "one"
    given["predictions"].pop()
    second = read(written(tmp_path, given, "other.json"))
    results = score([first, second], vocabulary)
    wanted, doubtful = [], []
    for item in given["items"]:
        texts = [[region["content"] for region in condition["regions"]] for condition in item["conditions"]]
        good, bad = (bits(net, vocabulary, own) for own in texts)
        wanted.append((good[1] < bad[1], sum(bad) - sum(good) > 0 and good[2] < bad[2]))
        doubtful.append(("zz" in f"{texts[0][1]} {texts[1][1]}", "zz" in " ".join(texts[0] + texts[1])))
    own = results.predictions[:60]
    assert [(row.prediction, row.correct, row.unknown) for row in own[0::2]] == [
        (1, correct, unknown) for (correct, _), (unknown, _) in zip(wanted, doubtful, strict=True)
    ]
    assert [(row.prediction, row.correct) for row in own[1::2]] == [(2, correct) for _, correct in wanted]
    if vocabulary is WORDS:
        assert [row.unknown for row in own[1::2]] == [unknown for _, unknown in doubtful]
    found = accuracies([first, second], results)
    assert [(row.suite, row.prediction) for row in found] == [
        ("drawn", 1),
        ("drawn", 2),
        ("drawn", None),
        ("one", None),
    ]
    shares = [np.mean(column) for column in zip(*wanted, strict=True)]
    shares = [*shares, np.mean([all(both) for both in wanted]), shares[0]]
    assert len({float(share) for share in shares}) >= 3
    for row, share in zip(found, shares, strict=True):
        assert row.items == 30
        assert row.accuracy == pytest.approx(share, rel=1e-12)
        interval = stats.binomtest(row.correct, row.items).proportion_ci(0.95, "wilson")
        assert (row.low, row.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert found[0].unknown == sum(unknown for unknown, _ in doubtful) > 0
    assert mean_accuracy(found) == pytest.approx((shares[2] + shares[3]) / 2, rel=1e-12)


def test_tables_have_every_row(tmp_path: Path) -> None:
    results = score([read(written(tmp_path, suite_of(4)))], WORDS)
    for records, first in ((results.predictions, "suite item prediction"), (results.regions, "suite item condition")):
        rows = list(csv.DictReader(io.StringIO("".join(table(records))), delimiter="\t"))
        assert " ".join(rows[0]).startswith(first)
        for row, record in zip(rows, records, strict=True):
            for name, cell in row.items():
                value = getattr(record, name)
                assert cell == value if isinstance(value, str) else float(cell) == value


def test_where_formulas_are_found(tmp_path: Path) -> None:
    """Those of Hu et al. (2020) stand under meta, and a suite without a name is called as its file."""
    given = suite_of(2)
    given["predictions"] = []
    given["meta"] = {"string_predictions": FORMULAS}
    path = tmp_path / "mvrr.json.gz"
    path.write_bytes(gzip.compress(json.dumps(given).encode("utf-8-sig")))
    suite = read(path)
    assert suite.name == "mvrr"
    assert [formula.text for formula in suite.predictions] == FORMULAS
    given["predictions"] = [{"type": "formula", "formula": "1 < 2"}]
    assert [formula.text for formula in read(written(tmp_path, given)).predictions] == ["1 < 2"]


def changed(*keys: Any, value: Any = None) -> dict[str, Any]:
    """A suite with another value at a place, or without what stands there."""
    given = suite_of(3)
    inner: Any = given
    for key in keys[:-1]:
        inner = inner[key]
    if value is None:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    return given


CONDITION = ("items", 1, "conditions", 0)


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ([], "suite.json: found []; must be an object"),
        (changed("items"), "suite.json: items: missing"),
        (changed("predictions"), "suite.json: predictions: there is none; must be at least one formula"),
        (changed("items", value=[]), "suite.json: items: found []; List should have at least 1 item"),
        (changed("predictions", value=[]), "suite.json: predictions: there is none; must be at least one formula"),
        (changed("predictions", 0, "type", value="x"), "predictions[0].type: found \"x\"; must be 'formula'"),
        (changed("meta", "metric", value="mean"), "meta.metric: found \"mean\"; must be 'sum'"),
        (changed(*CONDITION, "condition_name"), "items[1].conditions[0].condition_name: missing"),
        (changed(*CONDITION, "regions", 2, "content"), "items[1].conditions[0].regions[2].content: missing"),
        (changed(*CONDITION, "regions", 2, "content", value=5), "[2].content: found 5; must be a valid string"),
        (changed(*CONDITION, "regions", 2, "region_number", value="2"), "found \"2\"; must be a valid integer"),
        (changed(*CONDITION, "regions", 2), "item 7, good: it has the regions 1, 2; must be 1, 2, 3 as elsewhere"),
        (changed(*CONDITION, "regions", 2, "region_number", value=2), "item 7, good: region 2 is there twice"),
        (changed(*CONDITION), "item 7: it has the conditions bad; must be good, bad as item 0 has"),
        (changed(*CONDITION, "condition_name", value="bad"), "item 7: the condition bad is there twice"),
        (changed("items", 2, "item_number", value=7), "items: the item_number 7 is there twice"),
        (changed(*CONDITION, "regions", 0, "content", value="a\nb"), "7, good, region 1: found 'a\\nb'; must be one"),
        (changed(*CONDITION, "regions", 0, "content", value="a </S>"), "region 1: found the word </s>; must be left"),
        (changed(*CONDITION, "regions", 0, "content", value="\ud800"), "region 1: found '\\ud800'; must be one line"),
        (
            changed(*CONDITION, "regions", value=[{"region_number": i, "content": " "} for i in (1, 2, 3)]),
            "item 7, good: all regions are empty; must have a word",
        ),
        (suite_of(3, ["(2;%good%) < (4;%bad%)"]), "predictions[0]: (4;%bad%): there is no region 4; there are 1, 2"),
        (suite_of(3, ["1 < 2", "(2;%x%) < 3"]), "predictions[1]: (2;%x%): there is no condition x; there are good"),
        (suite_of(3, ["(*;%x%) < 3"]), "predictions[0]: (*;%x%): there is no condition x"),
        (suite_of(3, ["exit(1)"]), "predictions[0]: at character 1 of the formula: found 'exit(1)'"),
    ],
)  # fmt: skip
def test_suites_that_are_wrong(suite: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TextError) as found:
        read(written(tmp_path, suite))
    assert message in str(found.value)
    assert str(found.value).startswith(str(tmp_path))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "suite.json: no JSON: Expecting value"),
        (b"{", "suite.json: no JSON: "),
        (b"[" * 100_000, "suite.json: no JSON: "),
        (b'{"meta": "\xff"}', "suite.json: not UTF-8 at byte 11; convert it to UTF-8"),
    ],
)
def test_files_that_are_wrong(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_bytes(content)
    with pytest.raises(TextError) as found:
        read(tmp_path / "suite.json")
    assert message in str(found.value)
