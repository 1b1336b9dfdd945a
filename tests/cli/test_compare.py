"""``rnnlm compare``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_two_models_on_a_text(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    text = tmp_path / "my.txt"
    text.write_text("the dog sees the zebra\na bird sings\n" * 20)
    status, out, err = call("compare", runs["word"], runs["char"], text, "--draws", 200, "-q")
    assert status == 0
    assert "is better by" in out
    assert "bits a character" in out
    assert f"{text}: 40 lines" in out
    assert err.startswith("warning: <unk>, as which unknown tokens are scored, never stood in the training text")
    found = json.loads(call("compare", runs["word"], runs["char"], text, "--json", "-q")[1])
    assert found["unknown"][0] == 20
    for i, unit in enumerate(("word", "char")):
        alone = json.loads(call("eval", runs[unit], text, "--state", found["state"], "--json", "-q")[1])
        assert found["bits_per_character"][i] == pytest.approx(alone["bits_per_character"], rel=1e-6)


def test_the_text_left_out_is_the_first_models_own(call: Any, runs: dict[str, Path]) -> None:
    _, out, _ = call("compare", runs["word"], runs["word"], "--draws", 100, "-q")
    assert f"{runs['word'].parent / 'test.txt'}: 20 lines" in out
    assert out.count("no difference") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}"], "Missing argument 'B'"),
        (["{run}", "nowhere"], "nowhere: no such file; give a run's folder"),
        (["{run}", "{run}", "-"], "standard input: not a file, so it can be read only once"),
        (["{run}", "{run}", "{empty}"], "empty.txt: empty"),
        (["{run}", "{run}", "--draws", "5"], "--draws"),
    ],
)
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["compare", *arguments], message)
