"""The fingerprint of a configuration."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from small import settings

from rnnlm.config import file as config_file
from rnnlm.config import fingerprint


def sha256(**changes: Any) -> str:
    plain = settings(Path("folder")).model_dump()
    return fingerprint.sha256(config_file.load(plain, {key.replace("__", "."): v for key, v in changes.items()}))


def test_it_is_the_hash_of_what_is_trained() -> None:
    values = settings(Path("folder")).model_dump()
    del values["run"]
    for key in ("train", "valid", "test", "text", "shuffle", "document"):  # the last two are of a later version
        del values["data"][key]
    for key in ("threads", "checkpoint", "log", "sample"):
        del values["train"][key]
    for key in ("tokenizer", "encoding", "subwords"):  # later than the first hashes
        del values["data"][key]
    for key in ("from", "freeze"):
        del values["train"][key]
    del values["model"]["output"]["variance_regularization"]
    assert sha256() == hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "elsewhere"},
        {"data__train": "same.txt"},
        {"data__encoding": "UTF8"},  # as it is
        {"train__threads": 3},
        {"train__log": {"every_updates": 1, "to": ["csv"]}},
        {"train__sample__every_updates": 3},
        {"train__checkpoint__keep": 2},
        {"model__cell": {"type": "elman", "activation": "tanh"}},  # as it is
    ],
    ids=str,
)
def test_what_does_not_change_it(changes: dict[str, Any]) -> None:
    assert sha256(**changes) == sha256()


@pytest.mark.parametrize(
    "changes",
    [
        {"data__unit": "char"},
        {"data__tokenizer": "unicode"},
        {"data__encoding": "latin-1"},
        {"data__unit": "subword"},
        {"vocab__min_count": 2},
        {"embedding__init": "normal"},
        {"model__cell": "lstm"},
        {"model__cell__activation": "relu"},
        {"train__seed": 2},
        {"train__epochs": 5},
        {"train__average": "ema"},
    ],
    ids=str,
)
def test_what_changes_it(changes: dict[str, Any]) -> None:
    assert sha256(**changes) != sha256()
