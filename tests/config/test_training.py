"""The section `train`."""

from __future__ import annotations

from typing import Any

import pytest

from rnnlm.config.base import sections
from rnnlm.config.training import Asgd, Cosine, Ema, Penalties, Plateau, Train
from rnnlm.training.optimizers.optimizer import RULES

OPTIMIZERS = {
    "sgd": {"weight_decay"},
    "momentum": {"momentum", "weight_decay"},
    "adagrad": {"epsilon", "weight_decay"},
    "rmsprop": {"beta2", "epsilon", "weight_decay"},
    "adam": {"beta1", "beta2", "epsilon", "weight_decay"},
    "adamw": {"beta1", "beta2", "epsilon", "weight_decay"},
    "nadam": {"beta1", "beta2", "epsilon", "weight_decay"},
    "lion": {"beta1", "beta2", "weight_decay"},
}
SCHEDULES = {
    "constant": {"warmup_updates"},
    "plateau": {"factor", "min_improvement", "warmup_updates"},
    "cosine": {"cycles", "final_rate", "warmup_updates"},
    "linear": {"final_rate", "warmup_updates"},
    "one_cycle": {"final_rate", "warmup_updates"},
}
AVERAGES = {"ema": {"decay"}, "asgd": {"patience"}}
DEFAULTS = {
    "momentum": 0.9, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0, "factor": 0.5,
    "min_improvement": 0.003, "cycles": 1, "final_rate": 0.0, "warmup_updates": 0, "decay": 0.999, "patience": 5,
}  # fmt: skip


def train(**values: Any) -> Train:
    return Train.model_validate(values)


@pytest.mark.parametrize(
    ("key", "wanted"), [("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("average", AVERAGES)]
)
def test_the_options_of_each_type_and_their_defaults(key: str, wanted: dict[str, set[str]]) -> None:
    types = sections(Train, key).types
    assert {name: set(section.model_fields) - {"type"} for name, section in types.items()} == wanted
    for section in types.values():
        for option, field in section.model_fields.items():
            assert option == "type" or field.default == DEFAULTS[option]


def test_the_optimizers_are_those_of_the_registry() -> None:
    assert set(OPTIMIZERS) == set(RULES)


@pytest.mark.parametrize(
    "values",
    [
        {"optimizer": {"type": "sgd", "momentum": 0.2}},
        {"schedule": {"type": "linear", "cycles": 3}},
        {"schedule": {"type": "constant", "final_rate": 0.1}},
        {"average": {"type": "ema", "patience": 3}},
    ],
)
def test_an_option_that_does_nothing_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        train(**values)


def test_values_of_options() -> None:
    assert train(schedule={"type": "cosine", "cycles": 3}).schedule == Cosine(cycles=3)
    assert train(schedule="plateau").schedule == Plateau(factor=0.5, min_improvement=0.003)
    assert train(average={"type": "asgd", "patience": 2}).average == Asgd(patience=2)
    assert train(average="ema").average == Ema(decay=0.999)
    assert train().average is None
    assert train(checkpoint={"every_updates": None, "every_minutes": 2}).checkpoint.every_minutes == 2
    assert train().log.every_updates == 50


@pytest.mark.parametrize(
    ("to", "wanted"),
    [
        ([], ["jsonl"]),
        (["csv"], ["jsonl", "csv"]),
        (["tensorboard", "jsonl", "csv", "tensorboard"], ["jsonl", "csv", "tensorboard"]),
    ],
)
def test_the_log_itself_is_always_written(to: list[str], wanted: list[str]) -> None:
    assert train(log={"to": to}).log.to == wanted


def test_samples_are_off_and_have_their_own_keys() -> None:
    assert train().sample.every_updates is None
    assert train(sample={"every_updates": 5, "prompt": "a"}).sample.tokens == 40


@pytest.mark.parametrize(
    ("penalties", "there"),
    [({}, False), ({"activation": 1}, True), ({"temporal": 1}, True), ({"label_smoothing": 0.1}, True)],
)
def test_whether_there_is_a_penalty(penalties: dict[str, float], there: bool) -> None:
    assert Penalties.model_validate(penalties).any is there


def test_the_stride() -> None:
    assert train(bptt=7).stride == 7
    assert train(bptt=7, bptt_stride=3).stride == 3
    with pytest.raises(ValueError, match=r"bptt_stride must be at most bptt \(5\); found 6"):
        train(bptt=5, bptt_stride=6)
    with pytest.raises(ValueError, match="bptt_deviation goes with .* that do not overlap; found bptt_stride: 3"):
        train(bptt=5, bptt_stride=3, bptt_deviation=1)
    assert train(bptt=5, bptt_stride=5, bptt_deviation=1).stride == 5


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", "float32"), ("bfloat16", "float32"), ("bfloat16x3", "float32"), ("float64",) * 2],
)
def test_the_type_of_what_is_stored(precision: str, dtype: str) -> None:
    assert train(precision=precision).dtype == dtype
