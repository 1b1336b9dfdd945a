"""Completion in the shells that have it, as each of them asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import rnnlm

from rnnlm.config import recipes

SHELLS = ["bash", "zsh", "fish"]


def offered(line: str, shell: str = "bash") -> list[str]:
    """What the shell gets for a line with the cursor at its end."""
    words = line.split(" ")
    variables = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = rnnlm(_RNNLM_COMPLETE=f"complete_{shell}", **variables)
    assert done.stderr == ""
    return done.stdout.split("\n")


def test_commands_options_and_choices() -> None:
    assert offered("rnnlm s")[:3] == ["score", "syntaxgym", "sample"]
    assert offered("rnnlm corpus g")[:1] == ["get"]
    assert offered("rnnlm train my.yaml --re")[:2] == ["--resume", "--restart"]
    assert offered("rnnlm eval runs/my --state ")[:2] == ["carry", "reset"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_the_command(shell: str) -> None:
    text = " ".join(offered("rnnlm tra", shell))
    assert "train" in text
    assert "eval" not in text


def test_a_configuration_is_a_recipe_or_a_yaml_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep[1]").mkdir()
    for name in ("my.yaml", "my.txt", "deep[1]/quick.yaml"):
        (tmp_path / name).write_text("")
    assert [name for name in offered("rnnlm train ") if name] == [*recipes.names("configs", ".yaml"), "my.yaml"]
    assert [name for name in offered("rnnlm train qu") if name] == ["quickstart"]
    assert [name for name in offered("rnnlm train deep[1]/q") if name] == ["deep[1]/quick.yaml"]
    assert [name for name in offered("rnnlm train my.t") if name] == [], "the shell's own files"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder, with the command rnnlm in its bin/."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "rnnlm"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rnnlm "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run_in(shell: str, lines: str, home: Path) -> str:
    """What lines of a shell print."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    root = Path(__file__).resolve().parents[2]
    environment = {
        **os.environ, "HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(root),
        "XDG_CONFIG_HOME": str(home / ".config"),
    }  # fmt: skip
    script = home / f"script.{shell}"
    script.write_text(lines)  # a shell with one command alone becomes that command, which finds no shell above it
    done = subprocess.run([shell, str(script)], capture_output=True, text=True, env=environment, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".bash_completions/rnnlm.sh"),
        ("zsh", ".zfunc/_rnnlm"),
        ("fish", ".config/fish/completions/rnnlm.fish"),
    ],
)
def test_the_installation_of_each_shell(shell: str, place: str, home: Path) -> None:
    out = run_in(shell, "rnnlm --install-completion\necho\n", home)
    assert out.startswith(f"{shell} completion installed in {home}/{place}\n")
    assert "rnnlm" in (home / place).read_text()


def test_bash_completes(home: Path) -> None:
    lines = """rnnlm --install-completion > /dev/null
source ~/.bashrc
COMP_WORDS=(rnnlm corpus l) COMP_CWORD=2
_rnnlm_completion rnnlm
echo "${COMPREPLY[@]}"
complete -p rnnlm
"""
    found, how = run_in("bash", lines, home).splitlines()
    assert found == "list"
    assert "-o default" in how, "other files where there is nothing to offer"


def test_fish_completes(home: Path) -> None:
    lines = "rnnlm --install-completion > /dev/null\ncomplete -C 'rnnlm corpus l'\n"
    assert run_in("fish", lines, home).split("\t")[0] == "list"
