"""Choices, and options that are a number or a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from rnnlm.cli import arguments
from rnnlm.config.network import Elman
from rnnlm.config.schema import Config
from rnnlm.measure import warmup


def test_choices_are_those_of_the_configuration() -> None:
    for choice, section, key in (
        (arguments.Unit, "data", "unit"),
        (arguments.State, "train", "state"),
        (arguments.Precision, "train", "precision"),
    ):
        annotation = Config.model_fields[section].annotation.model_fields[key].annotation
        more = {"document"} if key == "state" else set()  # in a configuration a key of its own, data.document
        less = {"subword"} if key == "unit" else set()  # which needs a model beside it
        assert set(choice) == {*get_args(annotation), *more} - less, key
    assert tuple(arguments.Precision) == warmup.PRECISIONS
    assert set(arguments.Activation) == set(get_args(Elman.model_fields["activation"].annotation))


@pytest.mark.parametrize(
    ("command", "option", "found", "right"),
    [
        (["eval", "x"], "--state", "keep", "'keep' is not one of 'carry', 'reset', 'document'"),
        (["eval", "x"], "--threads", "0", "'0' is neither auto nor a number of at least 1"),
        (["eval", "x"], "--threads", "²", "'²' is neither auto nor a number of at least 1"),
        (["gradcheck", "x"], "--through", "some", "'some' is neither all nor a number of at least 1"),
        (["gradients", "x", "y"], "--precision", "bfloat16", "'bfloat16' is not one of 'float32', 'float64'"),
        (["derive"], "--activation", "swish", "'swish' is not one of 'tanh', 'sigmoid', 'relu'"),
        (
            ["warmup"],
            "--precision",
            "float16",
            "'float16' is not one of 'float32', 'float64', 'bfloat16', 'bfloat16x3'",
        ),
        (
            ["export", "x", "-o", "x"],
            "--to",
            "jax",
            "'jax' is not one of 'pytorch', 'espnet', 'onnx', 'sherpa', 'hf', 'word2vec', 'web'",
        ),
        (["import", "x", "-o", "y"], "--activation", "sigmoid", "'sigmoid' is not one of 'tanh', 'relu'"),
        (["import", "x", "-o", "y"], "--unit", "line", "'line' is not one of 'word', 'char', 'byte'"),
    ],
)
def test_a_choice_that_there_is_not(call: Any, command: list[str], option: str, found: str, right: str) -> None:
    status, out, err = call(*command, option, found)
    assert (status, out) == (2, "")
    name = f"rnnlm {command[0]}"
    assert err == f"error: {name}: Invalid value for '{option}': {right}; {name} --help says what there is\n"


@pytest.mark.parametrize("threads", ["1", "2", "auto"])
def test_threads(call: Any, runs: dict[str, Path], threads: str) -> None:
    assert call("eval", runs["word"], "--threads", threads)[0] == 0
