"""Log-probabilities of samples: those that scoring gives the same tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlm
from rnnlm.text import tokenizers


def in_float64(path: Path, state: str) -> rnnlm.LanguageModel:
    trained = rnnlm.load(path).trained
    train = trained.config.train.model_copy(update={"precision": "float64", "state": state})
    parameters = {name: value.astype(np.float64) for name, value in trained.parameters.items()}
    initial = None if trained.initial is None else [layer.astype(np.float64) for layer in trained.initial]
    config = trained.config.model_copy(update={"train": train})
    return rnnlm.LanguageModel(replace(trained, config=config, parameters=parameters, initial=initial))


SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 2.0},
    {"temperature": 0},
    {"top_k": 3, "temperature": 0.7},
    {"repetition_penalty": 1.5, "no_repeat": 2, "min_p": 0.01},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_they_are_those_of_scoring(runs: dict[str, Path], unit: str, state: str, settings: dict[str, Any]) -> None:
    """The network's own, whatever was filtered."""
    model = in_float64(runs[unit], state)
    for prompt in ("", "the dog\na "):
        before = len(tokenizers.split(prompt, unit, lowercase=False))
        for sample in model.sample_scored(prompt, 25, count=3, **settings):
            assert len(sample.tokens) == len(sample.log_probabilities) == 25
            text = prompt + tokenizers.join(sample.tokens, unit)
            scores = model.surprisal(text, line_end=False)[before:]
            assert [score.token for score in scores] == sample.tokens
            wanted = [score.log_probability for score in scores]
            np.testing.assert_allclose(sample.log_probabilities, wanted, rtol=1e-9)
            assert sample.log_probability == pytest.approx(sum(wanted), rel=1e-9)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_they_change_no_sample(runs: dict[str, Path], unit: str, settings: dict[str, Any]) -> None:
    model = rnnlm.load(runs[unit])
    texts = model.samples(4, "the", 50, seed=2, **settings)
    assert [sample.text for sample in model.sample_scored("the", 50, count=4, seed=2, **settings)] == texts


def test_a_sample_that_ends_has_those_of_its_own_tokens(runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    found = model.sample_scored("", 80, count=5, stop_at_line_end=True)
    assert len({len(sample.tokens) for sample in found}) > 1
    for sample in found:
        assert sample.tokens.index("</s>") == len(sample.tokens) - 1 == len(sample.log_probabilities) - 1
        (scored,) = model.score(sample.text)
        assert sample.log_probability == pytest.approx(scored.log_probability, rel=1e-5)
