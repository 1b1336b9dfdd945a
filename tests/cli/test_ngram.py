"""``rnnlm ngram``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(("unit", "order"), [("word", 5), ("char", 7), ("byte", 7)])
def test_the_model_of_a_configuration(call: Any, config: Path, tmp_path: Path, unit: str, order: int) -> None:
    path = tmp_path / "my.arpa"
    status, out, err = call("ngram", config, "--set", f"data.unit={unit}", "-o", path)
    assert status == 0
    assert f"{order}-gram model of " in err
    assert "validation" in out
    assert path.read_text().startswith("\\data\\\nngram 1=")
    assert path.read_text().count("-grams:") == order
    found = json.loads(call("ngram", config, "--set", f"data.unit={unit}", "--json", "-q", "--order", 2)[1])
    better = json.loads(call("ngram", config, "--set", f"data.unit={unit}", "--json", "-q", "--order", 1)[1])
    assert found["valid"]["perplexity"] < better["valid"]["perplexity"]
    assert found["valid"]["state"] == "reset"
    assert "--force replaces it" in call("ngram", config, "-o", path)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{config}", "--order", "0"], "--order: found 0; must be 1 to 10"),
        (["{config}", "--order", "11"], "--order: found 11; must be 1 to 10"),
        (["nowhere.yaml"], "nowhere.yaml"),
        (["{config}", "-o", "{folder}/model.txt"], "model.txt: a model of n-grams is written; name it NAME.arpa"),
    ],
)
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["ngram", *arguments], message)
