"""The command line itself: its help, its arguments, and what goes wrong around a command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from command import rnnlm

from rnnlm import api, cli, pipeline
from rnnlm.errors import ModelError
from rnnlm.files import inspection


def all_commands() -> list[list[str]]:
    def walk(command: Any, names: list[str]) -> list[list[str]]:
        below = getattr(command, "commands", {})
        return [names] + [found for name, sub in below.items() for found in walk(sub, [*names, name])]

    return walk(typer.main.get_command(cli.app), [])


@pytest.mark.parametrize("names", all_commands(), ids=" ".join)
def test_help(call: Any, names: list[str]) -> None:
    status, out, err = call(*names, "--help")
    assert (status, err) == (0, "")
    assert "Usage: rnnlm" in out


@pytest.mark.parametrize("names", all_commands(), ids=" ".join)
def test_help_texts_are_sentences(names: list[str]) -> None:
    command: Any = typer.main.get_command(cli.app)
    for name in names:
        command = command.commands[name]
    for text in [command.help, *(parameter.help for parameter in command.params if parameter.name != "help")]:
        assert text
        assert text[0].isupper() or text[0].isdigit()
        assert text.rstrip().endswith((".", ")", "..."))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['rnnlm', '--help']\n"
        "from rnnlm.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numba', 'numpy', 'scipy', 'pydantic', 'yaml') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("[]")


def test_nothing_is_collected_at_the_end() -> None:
    program = (
        "import atexit, gc\nfrom rnnlm import cli\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"  # what is registered first runs last
        "import sys\nsys.argv = ['rnnlm', '--version']\ncli.main()\n"
    )
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[-1] == "True"


def test_version(call: Any) -> None:
    assert call("--version")[1] == "rnnlm 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "command", "found"),
    [
        (["train", "x", "--nonsense"], "rnnlm train", "--nonsense"),
        (["nonsense"], "rnnlm", "nonsense"),
        (["corpus", "nonsense"], "rnnlm corpus", "nonsense"),
        (["train"], "rnnlm train", "CONFIG"),
        (["eval", "x", "y", "z"], "rnnlm eval", "z"),
        (["sample", "x", "--tokens", "many"], "rnnlm sample", "--tokens"),
        (["train", "x", "--run"], "rnnlm", "--run"),
    ],
)
def test_arguments_that_do_not_exist_are_one_line(call: Any, arguments: list[str], command: str, found: str) -> None:
    status, out, err = call(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {command}: ")
    assert found in err
    assert err.endswith(f"; {command} --help says what there is\n")


@pytest.mark.parametrize("arguments", [[], ["corpus"]])
def test_no_command_shows_the_help(call: Any, arguments: list[str]) -> None:
    status, out, err = call(*arguments)
    assert status in (0, 2)
    assert "Usage: rnnlm" in out + err
    assert "error: " not in err


@pytest.mark.parametrize("command", [["train", "{config}"], ["eval", "{run}"], ["sample", "{run}"]])
def test_ctrl_c_is_status_130_without_a_word(
    call: Any, config: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def interrupted(*arguments: object, **options: object) -> Iterator[Any]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(pipeline, "run", interrupted)
    for name in ("evaluating_own_text", "sampling"):
        monkeypatch.setattr(api.LanguageModel, name, interrupted)
    assert call(*(part.format(config=config, run=runs["word"]) for part in command)) == (130, "", "")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "error: No space left on device; --debug shows what"),
        (PermissionError(13, "Permission denied", "x/y"), "error: x/y: Permission denied; --debug shows"),
        (MemoryError(), "error: out of memory (no details); lower train.batch, model.hidden or vocab.max_size\n"),
    ],
)  # fmt: skip
def test_what_the_system_refuses_is_one_line(
    call: Any, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def refused(path: Path) -> None:
        raise error

    monkeypatch.setattr(inspection, "inspect", refused)
    status, out, err = call("inspect", runs["word"])
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(message)


def test_a_traceback_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["--debug", "eval", "nowhere"], ["eval", "nowhere", "--debug"]):
        monkeypatch.setattr(sys, "argv", ["rnnlm", *arguments])
        with pytest.raises(ModelError):
            cli.main()


def test_an_internal_error_is_one_line_too(call: Any, monkeypatch: pytest.MonkeyPatch, runs: dict[str, Path]) -> None:
    def broken(path: Path) -> None:
        raise KeyError("x")

    monkeypatch.setattr(inspection, "inspect", broken)
    status, _, err = call("inspect", runs["word"])
    assert status == 1
    assert err == "error: internal: KeyError: 'x'; run it again with --debug and report what it shows\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_behind_standard_output(runs: dict[str, Path]) -> None:
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "rnnlm", "eval", str(runs["word"]), "--json"], stdout=full, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
    assert found.returncode == 1
    assert found.stderr == "error: No space left on device; --debug shows what was done there\n"


def test_a_terminal_of_another_encoding(runs: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "rnnlm", "sample", str(runs["char"]), "--prompt", "é", "--tokens", "3"]
    found = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert found.returncode == 0
    assert found.stdout.startswith(b"\\xe9")


def test_a_reader_that_goes_away(runs: dict[str, Path]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "rnnlm", "sample", str(runs["char"]), "--tokens", "100000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONWARNINGS": "default"},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(30) == 1
    assert errors == ""


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("NUMBA_DISABLE_JIT", "1", "NUMBA_DISABLE_JIT is set"),
        ("NUMBA_NUM_THREADS", "0", "Number of threads specified must be > 0"),
    ],
)
def test_an_environment_that_numba_refuses_is_one_line(variable: str, value: str, message: str) -> None:
    done = rnnlm("bench", **{variable: value})
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "cache")
    done = rnnlm("warmup", NUMBA_CACHE_DIR=folder)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"warning: compiled code is not kept: {folder} cannot be written",
        "error: compiled code cannot be kept: name a folder for it in NUMBA_CACHE_DIR",
    ]
