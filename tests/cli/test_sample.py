"""``rnnlm sample``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rnnlm
from rnnlm.text import tokenizers


@pytest.mark.parametrize(("command", "option"), [("sample", ["--prompt"]), ("next", [])])
def test_bytes_in_a_prompt_that_are_no_text(
    call: Any, runs: dict[str, Path], command: str, option: list[str]
) -> None:
    """As a command line has them: a model of bytes reads them, and they are shown as U+FFFD."""
    given = [*option, b"dog \xff".decode("utf-8", "surrogateescape")]
    for unit in ("word", "char"):
        status, out, err = call(command, runs[unit], *given)
        assert (status, out) == (2, ""), unit
        assert err == f"error: {(*option, 'PREFIX')[0]}: not UTF-8 at character 5; give UTF-8 text\n"
    status, out, _ = call(command, runs["byte"], *given, "--json")
    assert status == 0
    found = json.loads(out)
    assert found["prompt" if option else "prefix"] == "dog \ufffd"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "--temperature", "-1"], "--temperature: found -1.0; must be a finite number of 0 or more"),
        (["{run}", "--prompt", "the </s> dog"], "--prompt:1: found the word </s>, the line end's own"),
        (["{binary}"], "binary.txt: not a whole safetensors file"),
        (["{run}", "--no-repeat", "0"], "--no-repeat: found 0; must be at least 1"),
        (["{run}", "--stop", "a", "--stop", ""], "--stop: found an empty string; must have at least one character"),
        (["{run}", "--prompts", "{empty}"], "empty.txt: empty; give a prompt a line"),
        (["{run}", "--prompts", "{binary}"], "binary.txt:1: not UTF-8 at byte 4 of the line (0xff)"),
        (["{run}", "--prompts", "{folder}"], "a folder; give a text file"),
        (["{run}", "--prompts", "{folder}/none"], "none: No such file or directory"),
        (["{run}", "--prompts", "{twice}", "--prompt", "a"], "--prompt does not go with --prompts; give one of them"),
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


def test_a_prompt_a_line(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    """In the file's order, each as alone."""
    prompts = ["the dog", "", "a zebra"]
    path = tmp_path / "prompts.txt"
    path.write_text("".join(f"{prompt}\n" for prompt in prompts))
    settings = ("--tokens", 12, "--samples", 2, "--seed", 3)
    status, out, err = call("sample", runs["word"], "--prompts", path, *settings)
    assert (status, err) == (0, f"warning: {path}:3: not in the vocabulary, read as <unk>: 'zebra'\n")
    wanted = ""
    for i, prompt in enumerate(prompts, 1):
        alone = call("sample", runs["word"], "--prompt", prompt, *settings)[1]
        wanted += alone.replace("--- sample", f"--- prompt {i}, sample")
    assert out == wanted
    found = json.loads(call("sample", runs["word"], "--prompts", path, *settings, "--json")[1])
    assert list(found) == ["initial_state", "prompts"]
    for prompt, made in zip(prompts, found["prompts"], strict=True):
        alone = json.loads(call("sample", runs["word"], "--prompt", prompt, *settings, "--json")[1])
        assert alone == {**made, "initial_state": found["initial_state"]}
        assert made["prompt"] == prompt


def test_one_sample_a_prompt(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("the\na\n")
    out = call("sample", runs["word"], "--prompts", tmp_path / "prompts.txt", "--tokens", 1, "--temperature", 0)[1]
    texts = [call("sample", runs["word"], "--prompt", p, "--tokens", 1, "--temperature", 0)[1] for p in ("the", "a")]
    assert out == f"--- prompt 1\n{texts[0]}--- prompt 2\n{texts[1]}"


def test_prompts_from_standard_input(runs: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "rnnlm", "sample", runs["char"], "--prompts", "-", "--tokens", "5", "--json"]
    found = subprocess.run(command, input=b"the\nbird", capture_output=True, check=True)
    assert [made["prompt"] for made in json.loads(found.stdout)["prompts"]] == ["the", "bird"]


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_log_probabilities(call: Any, runs: dict[str, Path], unit: str) -> None:
    settings = ("--prompt", "the", "--tokens", 9, "--samples", 2, "--top-k", 4)
    found = json.loads(call("sample", runs[unit], *settings, "--json", "--logprobs")[1])
    assert found["samples"] == json.loads(call("sample", runs[unit], *settings, "--json")[1])["samples"]
    model = rnnlm.load(runs[unit])
    for i in range(2):
        joiner = tokenizers.joiner(unit, "the")
        assert found["samples"][i] == "the" + "".join(map(joiner.add, found["tokens"][i])) + joiner.rest()
        own = model.sample_scored("the", 9, count=2, top_k=4)[i]
        assert (own.tokens, own.log_probabilities) == (found["tokens"][i], found["log_probabilities"][i])
        assert found["log_probability"][i] == pytest.approx(sum(found["log_probabilities"][i]), rel=1e-12)
    out = call("sample", runs[unit], *settings, "--logprobs")[1]
    for nats in found["log_probabilities"][0] + found["log_probability"]:
        assert f"{nats:10.4f}  " in out
    assert out.count("9 tokens together\n") == 2


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_what_is_cut_is_never_shown(call: Any, runs: dict[str, Path], unit: str) -> None:
    whole = call("sample", runs[unit], "--prompt", "the", "--tokens", 60)[1].removesuffix("\n")
    string = whole[8:11]
    out = call("sample", runs[unit], "--prompt", "the", "--tokens", 60, "--stop", string, "--stop", "no such")[1]
    assert out.removesuffix("\n") == whole[: whole.index(string, 3)].removesuffix("\n")
