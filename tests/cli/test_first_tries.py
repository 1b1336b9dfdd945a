"""Arguments in each other's place: the message says what the thing is and what to type."""

from __future__ import annotations

import os
import pickle
import shlex
from pathlib import Path
from typing import Any

import pytest

from rnnlm.cli.first_tries import Kind, kind_of


@pytest.fixture
def things(tmp_path: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """One of each kind, by name."""
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("the dog says: no\nthe cat sees it\n")
    Path("c.yaml").write_text("data: {train: my.txt}\nrun: runs/mine\n")
    Path("plain").write_text("# mine\nmodel:\n  hidden: 3\n")
    Path("a.pt").write_bytes(pickle.dumps({"w": 1}, protocol=2))
    Path("b").write_bytes(pickle.dumps({"w": 1}, protocol=2))
    run = runs["word"]
    return {"run": str(run), "model": str(run / "model.safetensors")}


@pytest.mark.parametrize(
    ("typed", "what", "advice"),
    [
        ("train my.txt", "my.txt: a text", "rnnlm init my.txt writes"),
        ("vocab my.txt", "my.txt: a text", "rnnlm init my.txt writes"),
        ("gradcheck my.txt", "my.txt: a text", "rnnlm init my.txt writes"),
        ("config show my.txt", "my.txt: a text", "rnnlm init my.txt writes"),
        ("train {run} --resume", "{run}: a run's folder", "rnnlm train {run}/config.yaml --resume"),
        ("bench {run}", "{run}: a run's folder", "rnnlm bench {run}/config.yaml"),
        ("train {model}", "{model}: a trained model", "give the YAML file"),
        ("train a.pt", "a.pt: a PyTorch file", "give the YAML file"),
        ("eval c.yaml my.txt", "c.yaml: a configuration", "rnnlm eval runs/mine takes that"),
        ("eval plain my.txt", "plain: a configuration", "rnnlm train plain makes a run, and rnnlm eval RUN"),
        ("eval my.txt {run}", "my.txt: a text", "the MODEL comes first: rnnlm eval MODEL my.txt"),
        ("gradients my.txt {run}", "my.txt: a text", "the MODEL comes first: rnnlm gradients MODEL my.txt"),
        ("derive my.txt", "my.txt: a text", "the MODEL comes first"),
        ("sample c.yaml", "c.yaml: a configuration", "rnnlm sample runs/mine takes that"),
        ("export b -o x", "b: a PyTorch file", "rnnlm import makes a model"),
        ("import a.pt -o x.safetensors", "a.pt: a PyTorch file", 'save_file(model.state_dict(), "a.safetensors")'),
        ("import none -o x.safetensors", "none: no such file", "give PyTorch's state dict in a safetensors file"),
        ("import b -o x.safetensors", "b: a PyTorch file", 'save_file(model.state_dict(), "b.safetensors")'),
    ],
)
def test_swapped_arguments_say_what_the_thing_is_and_what_to_type(
    typed: str, what: str, advice: str, things: dict[str, str], call: Any
) -> None:
    status, out, err = call(*shlex.split(typed.format(**things)))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert what.format(**things) in err
    assert advice.format(**things) in err


def test_kinds_that_are_not_certain_are_left_to_the_command(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(bytes(range(256)))
    os.mkfifo(tmp_path / "pipe")
    for path in (damaged, tmp_path / "pipe", tmp_path / "nothing", tmp_path):
        assert kind_of(path) is None
    text = tmp_path / "text"
    text.write_text("字" * 5000, encoding="utf-8")
    assert kind_of(text) is Kind.text
