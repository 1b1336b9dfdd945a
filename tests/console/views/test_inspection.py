"""How a model file looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnlm.console.views.inspection import section_lines


def test_a_configuration_breaks_between_its_keys() -> None:
    parts = [f"key{i}: [0.9, {i}]" for i in range(6)]
    lines = section_lines("train", parts, 40).split("\n")
    assert len(lines) > 1
    assert all(len(line) <= 40 for line in lines)
    assert all(any(part in line for line in lines) for part in parts)
    assert all(line.startswith(" " * 12 + "key") for line in lines[1:])


def test_a_pipe_gets_a_line_a_section(call: Any, runs: dict[str, Path]) -> None:
    """For grep."""
    lines = call("inspect", runs["word"])[1].splitlines()
    assert len(next(line for line in lines if line.startswith("train "))) > 500
