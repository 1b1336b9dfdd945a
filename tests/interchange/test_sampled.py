"""Exports of softmaxes that were trained by samples: the full softmax with the same probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import Case, config

from rnnlm.errors import InputError
from rnnlm.files.model_file import Trained
from rnnlm.interchange.pytorch import to_pytorch
from rnnlm.interchange.sampled import as_softmax
from rnnlm.language_model import LanguageModel
from rnnlm.text.vocabulary import Vocabulary

WORDS = Vocabulary(["</s>", "<unk>", *"abcdefgh"], range(10), "word", False)


def trained(**model: Any) -> Trained:
    settings = config(d=5, model=model)
    return Trained(settings, WORDS, Case(settings, len(WORDS)).network.named, {}, Path("model.safetensors"))


@pytest.mark.parametrize("objective", ["importance", "nce"])
@pytest.mark.parametrize("tied", [{}, {"tie_weights": True}, {"tie_weights": True, "hidden": 5}])
def test_probabilities_are_the_same(objective: str, tied: dict[str, Any]) -> None:
    model = trained(output={"type": "sampled", "objective": objective}, **tied)
    made = as_softmax(model)
    assert made.config.model.output.type == "softmax"
    for prefix in ("", "a b", "h h g"):
        theirs, ours = (
            {token.token: token.log_probability for token in LanguageModel(one).next(prefix)} for one in (made, model)
        )
        np.testing.assert_allclose([theirs[token] for token in ours], list(ours.values()), rtol=0, atol=1e-6)


def test_pytorch_has_its_rows() -> None:
    model = trained(output={"type": "sampled"}, cell="lstm")
    made = as_softmax(model)
    weight = to_pytorch(made.config, made.parameters)["output.weight"]
    np.testing.assert_array_equal(weight, model.parameters["output.U"])


@pytest.mark.parametrize("output", ["softmax", "adaptive"])
def test_what_is_left_as_it_is(output: Any) -> None:
    model = trained(output=output)
    assert as_softmax(model) is model


def test_direct_connections_are_refused() -> None:
    with pytest.raises(InputError, match=r"^no export holds direct n-gram connections \(model.output.direct\)$"):
        as_softmax(trained(output={"type": "sampled", "direct": {"size": 50}}))
