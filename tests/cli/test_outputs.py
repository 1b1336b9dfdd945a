"""No command writes over what it reads, or over a file that is there, or into a run that it only looks at."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# {text}, {config} and {run} are what the command reads; {mine} is another file of the user's.
OVER_INPUTS = [
    "eval {run} {text} --per-token {text}",
    "eval {run} {text} --per-token {run}/config.yaml",
    "vocab {config} -o {train}",
    "vocab {config} -o {config}",
    "embed {config} -o {train}",
    "gradients {run} {text} --html {text}",
    "gradients {run} {text} --tsv {text}",
    "gradients {run} {text} --tsv {new}.txt --html {new}.txt",
    "export {run} -o {run}/model.safetensors",
    "export {run} -o {run}/state.safetensors",
    "import {run}/model.safetensors -o {run}/model.safetensors",
]


@pytest.mark.parametrize("arguments", OVER_INPUTS)
def test_an_output_never_replaces_an_input(
    call: Any, config: Path, runs: dict[str, Path], tmp_path: Path, arguments: str
) -> None:
    run = tmp_path / "own"
    shutil.copytree(runs["word"], run)
    names = {
        "run": run, "config": config, "train": config.parent / "train.txt", "text": config.parent / "valid.txt",
        "new": tmp_path / "new",
    }  # fmt: skip
    before = contents(config.parent), contents(run)
    for force in ([], ["--force"]):
        status, out, err = call(*arguments.format(**names).split(), *force)
        assert (status, out) == (2, ""), err
        assert err.startswith("error: ")
    assert (contents(config.parent), contents(run)) == before


OVER_FILES = [
    "eval {run} {text} --per-token {mine}.tsv",
    "vocab {config} -o {mine}.txt",
    "embed {config} -o {mine}.txt",
    "gradients {run} {text} --html {mine}.html",
    "gradients {run} {text} --tsv {mine}.tsv",
    "export {run} -o {mine}.safetensors",
    "import {exported} -o {mine}.safetensors",
    "corpus make -o {folder} --sentences 2 --sentences 2 --sentences 2",
]


@pytest.mark.parametrize("arguments", OVER_FILES)
def test_an_output_replaces_a_file_only_by_force(
    call: Any, config: Path, runs: dict[str, Path], tmp_path: Path, arguments: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    exported = tmp_path / "exported.safetensors"
    assert call("export", runs["word"], "-o", exported)[0] == 0
    for name in ("mine.tsv", "mine.txt", "mine.html", "mine.safetensors", "train.txt"):
        (folder / name).write_text("mine")
    names = {
        "run": runs["word"], "config": config, "text": config.parent / "valid.txt", "folder": folder,
        "mine": folder / "mine", "exported": exported,
    }  # fmt: skip
    before = contents(folder)
    words = arguments.format(**names).split()
    status, _, err = call(*words)
    assert status == 2
    assert "is there already; --force replaces it" in err
    assert contents(folder) == before
    status, _, err = call(*words, "--force")
    assert status == 0, err
    assert contents(folder) != before


def test_export_follows_the_ending(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    for ending, to in ((".onnx", "pytorch"), (".safetensors", "onnx"), (".bin", "pytorch"), (".bin", "onnx")):
        path = tmp_path / f"a{ending}"
        status, _, err = call("export", runs["word"], "-o", path, "--to", to)
        assert status == 2
        assert "is written; name it NAME" in err
        assert not path.exists()


LOOKING = [
    "train {config} --plan",
    "train {config}",
    "train {config} --resume --set model.hidden=9",
    "train {config} --restart --set vocab.file={folder}/none",
    "vocab {config} -o {folder}/v.txt",
    "embed {config} -o {folder}/e.txt",
    "bench {config} --seconds 0.01",
    "gradcheck {config} --numbers 1",
    "eval {run}",
]


@pytest.mark.parametrize("arguments", LOOKING)
def test_a_command_that_only_looks_writes_nothing_into_a_run(
    call: Any, config: Path, tmp_path: Path, arguments: str
) -> None:
    """The text has changed since: what was cut from it for the run must stay."""
    text, run = tmp_path / "text.txt", tmp_path / "run"
    text.write_text((config.parent / "train.txt").read_text())
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        f"data: {{text: {text}}}\nembedding: {{size: 4}}\nmodel: {{hidden: 4}}\n"
        f"train: {{batch: 2, bptt: 4, epochs: 1}}\nrun: {run}\n"
    )
    assert call("train", mine, "--quiet")[0] == 0
    assert {"text/train.txt", "text/test.txt"} <= contents(run).keys()
    before = contents(run)
    text.write_text((config.parent / "train.txt").read_text() * 2)
    folder = tmp_path / "folder"
    status, _, err = call(*arguments.format(config=mine, run=run, folder=folder).split())
    assert status == (2 if arguments.startswith("train") and "--plan" not in arguments else 0), err
    assert contents(run) == before


@pytest.mark.parametrize(
    "command",
    [
        "train {config} --plan",
        "vocab {config} -o {out}/v.txt",
        "bench {config} --seconds 0.01",
        "gradcheck {config} --numbers 1",
    ],
)
def test_the_working_folder_need_not_be_written(
    call: Any, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    here, out = tmp_path / "here", tmp_path / "out"
    here.mkdir()
    mine = tmp_path / "mine.yaml"
    mine.write_text(config.read_text().replace(f"run: {config.parent / 'run'}", "run: runs/mine"))
    assert "run: runs/mine" in mine.read_text()
    monkeypatch.chdir(here)
    status, _, err = call(*command.format(config=mine, out=out).split())
    assert status == 0, err
    assert list(here.iterdir()) == []
