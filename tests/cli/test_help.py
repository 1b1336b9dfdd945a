"""The help: nothing clipped at any width, no types where a flag takes no value, an example a command."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer.main

from rnnlm import cli
from rnnlm.cli.help import EXAMPLES
from rnnlm.config import recipes


def _command(name: str) -> Any:
    command: Any = typer.main.get_command(cli.app)
    for part in name.split():
        command = command.commands[part]
    return command


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("name", EXAMPLES)
def test_help_says_everything_at_any_width(name: str, width: int, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = call(*name.split(), "--help")
    told = "".join(out.split())
    assert "<bool>" not in out
    assert "…" not in out
    for parameter in _command(name).params:
        if parameter.name != "help":
            assert "".join(parameter.help.split()) in told, parameter.name
    above = out.partition("Examples:")[0]
    assert max(map(len, above.splitlines())) <= width


@pytest.mark.parametrize("width", [40, 80])
def test_the_list_of_commands_is_not_clipped(width: int, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = call("--help")
    assert "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_help_are_commands(name: str, call: Any) -> None:
    _, out, _ = call(*name.split(), "--help")
    for example in EXAMPLES[name]:
        assert f"\n    {example}\n" in out
        words = shlex.split(example.partition(" > ")[0])[1:]
        assert words[: len(name.split())] == name.split()
        options = {option for parameter in _command(name).params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= options


def test_every_command_has_an_example() -> None:
    top: Any = typer.main.get_command(cli.app)
    names = [
        [name, *([sub] if sub else [])] for name, c in top.commands.items() for sub in getattr(c, "commands", [""])
    ]
    assert {" ".join(name) for name in names} == set(EXAMPLES)


def test_the_recipes_are_named(call: Any) -> None:
    _, out, _ = call("train", "--help")
    told = " ".join(out.split())
    assert (
        f"a recipe: {', '.join(sorted(recipes.names('configs', '.yaml'), key=lambda n: (n != 'quickstart', n)))}."
        in told
    )
