"""Settings by dotted names, and which of them differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small import settings as small

from rnnlm.config import file as config_file
from rnnlm.runs import settings

EMA = {"type": "ema", "decay": 0.5}


def made(**changes: Any) -> dict[str, Any]:
    plain = small(Path("folder")).model_dump()
    return settings.of(config_file.load(plain, {key.replace("__", "."): value for key, value in changes.items()}))


def differing(*changes: dict[str, Any]) -> dict[str, list[Any]]:
    aligned = settings.aligned([made(**change) for change in changes])
    return {key: [run.get(key, "none") for run in aligned] for key in settings.differing(aligned)}


def test_names_are_dotted_and_places_left_out() -> None:
    found = made()
    assert found["model.cell.type"] == "elman"
    assert found["train.learning_rate"] == 0.02
    assert found["train.average"] is None
    left = ("run", "data.train", "data.valid", "data.test", "data.text", "train.threads", "train.log.every_updates")
    assert not found.keys() & {*left, "train.checkpoint.keep"}
    assert not any(isinstance(value, dict) for value in found.values())


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ([{}, {}], {}),
        (
            [
                {},
                {"train__threads": 2, "run": "elsewhere", "data__train": "same.txt", "train__log__every_updates": 9},
            ],
            {},
        ),
        ([{}, {"train__bptt": 9}, {}], {"train.bptt": [8, 9, 8]}),
        (
            [{}, {"model__hidden": [16, 16], "model__layers": 2}],
            {"model.hidden": [16, [16, 16]], "model.layers": [1, 2]},
        ),
        # Options of another type are no difference of their own.
        ([{}, {"model__cell": "lstm"}], {"model.cell.type": ["elman", "lstm"]}),
        (
            [{}, {"model__cell": "lstm"}, {"model__cell": {"type": "lstm", "peepholes": True}}],
            {"model.cell.type": ["elman", "lstm", "lstm"], "model.cell.peepholes": ["none", False, True]},
        ),
        # What is off is null, and stands beside the types.
        ([{}, {"train__average": "ema"}], {"train.average.type": [None, "ema"]}),
        (
            [
                {"train__average": {"type": "ema", "decay": 0.9}},
                {},
                {"train__average": {"type": "ema", "decay": 0.5}},
            ],
            {"train.average.type": ["ema", None, "ema"], "train.average.decay": [0.9, "none", 0.5]},
        ),
        (
            [{"train__learning_rate": 0.1, "embedding__size": 9}, {}],
            {"embedding.size": [9, 8], "train.learning_rate": [0.1, 0.02]},
        ),
    ],
    ids=lambda value: "" if isinstance(value, list) else " ".join(value) or "nothing",
)
def test_what_differs(changes: list[dict[str, Any]], wanted: dict[str, list[Any]]) -> None:
    found = differing(*changes)
    assert found == wanted
    assert list(found) == list(wanted), "in the configuration's order"


def test_places_of_files_are_no_settings() -> None:
    """A vocabulary is known by its content, and word vectors by the name of their file."""
    vectors = {"type": "file", "path": "/a/vectors.txt"}
    changes: list[dict[str, Any]] = [
        {"embedding__init": vectors, "vocab__file": "/a/vocab.txt"},
        {"embedding__init": vectors | {"path": "/b/vectors.txt"}, "vocab__file": "/b/vocab.txt"},
    ]
    assert differing(*changes) == {}
    other = {"embedding__init": vectors | {"path": "/a/other.txt"}, "vocab__file": "/a/vocab.txt"}
    assert differing(changes[0], other) == {"embedding.init.path": ["vectors.txt", "other.txt"]}


@pytest.mark.parametrize("order", [1, -1])
def test_what_a_group_has_in_common(order: int) -> None:
    """A setting of all its runs, with one value; what only some of them have is a column."""
    keys = ("cell", "peepholes", "rate")
    group = [{"cell": "elman", "rate": 1}, {"cell": "lstm", "peepholes": False, "rate": 1}][::order]
    assert settings.divided(keys, group) == (("cell", "peepholes"), {"rate": 1})
    group = [{"cell": "lstm", "peepholes": False, "rate": rate} for rate in (1, 2)][::order]
    assert settings.divided(keys, group) == (("rate",), {"cell": "lstm", "peepholes": False})
    assert settings.divided(keys, [{"cell": "elman"}] * 2) == ((), {"cell": "elman"})
