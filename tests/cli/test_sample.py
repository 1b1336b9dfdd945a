"""``rnnlm sample``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_bytes_in_a_prompt_that_are_no_text(call: Any, runs: dict[str, Path]) -> None:
    for unit, folder in runs.items():
        status, out, err = call("sample", folder, "--prompt", b"dog \xff".decode("utf-8", "surrogateescape"))
        assert (status, out) == (2, ""), unit
        assert err == "error: --prompt: not UTF-8 at character 5; give UTF-8 text\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "--temperature", "-1"], "--temperature: found -1.0; must be 0 or more"),
        (["{run}", "--prompt", "the </s> dog"], "--prompt:1: found the word </s>, the line end's own"),
        (["{binary}"], "binary.txt: not a whole safetensors file"),
    ],
)  # fmt: skip
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["sample", *arguments], message)


def test_the_state_that_a_sample_begins_with(call: Any, runs: dict[str, Path]) -> None:
    settings = ("--tokens", 30, "--temperature", 2, "--json")
    found = json.loads(call("sample", runs["char"], *settings)[1])
    zero = json.loads(call("sample", runs["char"], *settings, "--initial-state", "zero")[1])
    assert (found["initial_state"], zero["initial_state"]) == ("model", "zero")
    assert found["samples"] != zero["samples"]
