"""The formulas of docs/derivation.md, typed as they stand there, and what the page says of them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "derivation.md"


def blocks(language: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    return found


def test_the_files_of_the_page(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = blocks("yaml")
    assert len(files) == 4
    for text in files:
        Path("numbers.yaml").write_text(text)
        status, out, _ = call("derive", "numbers.yaml")
        assert (status, "all of them right" in out) == (0, True)


def test_what_the_page_says_of_its_formulas(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    *_, one_step, two_steps = blocks("yaml")
    Path("one_step.yaml").write_text(one_step)
    Path("two_steps.yaml").write_text(two_steps)
    commands = [line for block in blocks("sh") for line in block.splitlines() if "_step" in line]
    said = blocks("text")
    assert len(commands) == len(said) == 8
    for command, lines in zip(commands, said, strict=True):
        status, out, err = call(*shlex.split(command)[1:])
        assert (status, err) == (0 if "✓" in lines else 1, ""), command
        rest = out
        for line in lines.splitlines():
            assert line in rest, (command, line)
            rest = rest.split(line, 1)[1]
