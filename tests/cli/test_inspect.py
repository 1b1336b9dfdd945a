"""``rnnlm inspect``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rnnlm
from rnnlm.files import tensors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{empty}"], "empty.txt: not a whole safetensors file"),
    ],
)  # fmt: skip
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["inspect", *arguments], message)


def test_the_state_that_texts_begin_with(runs: dict[str, Path], call: Any) -> None:
    status, out, _ = call("inspect", runs["word"])
    assert status == 0
    assert "with the mean state at line ends of the validation text" in out
    found = json.loads(call("inspect", runs["word"], "--json")[1])
    assert found["initial_state"] == "model"
    assert found["tensors"]["initial.0"]["shape"] == [16]


@pytest.mark.parametrize("missing", ["updates", "epoch", "version"])
def test_figures_that_a_header_does_not_have(runs: dict[str, Path], tmp_path: Path, call: Any, missing: str) -> None:
    arrays, metadata = tensors.read_tensors(runs["word"] / "model.safetensors")
    del metadata["training"][missing]
    tensors.write_tensors(tmp_path / "model.safetensors", arrays, metadata)
    status, out, err = call("inspect", tmp_path / "model.safetensors")
    assert (status, err) == (0, "")
    assert "trained" in out


def test_the_words_near_a_word(runs: dict[str, Path], call: Any) -> None:
    table = tensors.read_tensors(runs["word"] / "model.safetensors")[0]["embedding.table"].astype(float)
    tokens = rnnlm.load(runs["word"]).vocabulary.tokens
    own = tokens.index("dog")
    cosines = [row @ table[own] / math.sqrt((row @ row) * (table[own] @ table[own])) for row in table]
    wanted = sorted(((cosine, token) for token, cosine in zip(tokens, cosines, strict=True)), reverse=True)[1:11]
    status, out, err = call("inspect", runs["word"], "--nearest", "dog", "--nearest", "cat", "--json")
    assert (status, err) == (0, "")
    dog, cat = json.loads(out)["nearest"]
    assert (dog["token"], cat["token"]) == ("dog", "cat")
    assert [one["token"] for one in dog["nearest"]] == [token for _, token in wanted]
    assert [one["cosine"] for one in dog["nearest"]] == pytest.approx([cosine for cosine, _ in wanted])
    status, out, err = call("inspect", runs["word"], "--nearest", "dog")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "dog"
    assert [line.split() for line in lines[1:]] == [[f"{cosine:.4f}", token] for cosine, token in wanted]


def test_a_word_that_is_not_in_the_vocabulary(runs: dict[str, Path], call: Any) -> None:
    status, out, err = call("inspect", runs["word"], "--nearest", "dog", "--nearest", "zebra")
    assert (status, out) == (2, "")
    assert "--nearest zebra: not among the vocabulary's" in err
    assert len(err.splitlines()) == 1
