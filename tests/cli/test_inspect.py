"""``rnnlm inspect``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
