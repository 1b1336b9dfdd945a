"""``rnnlm eval --with``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rnnlm.files import tensors


@pytest.fixture
def other(runs: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(runs["word"], tmp_path / "other")


def test_with_an_ngram_and_another_run(call: Any, runs: dict[str, Path], other: Path, tmp_path: Path) -> None:
    path = tmp_path / "3gram.arpa"
    config = runs["word"] / "config.yaml"
    assert call("ngram", config, "--order", 3, "-o", path, "-q")[0] == 0
    status, out, _ = call("eval", runs["word"], "--with", path, "--with", other, "-q")
    assert status == 0
    rows = [line.split() for line in out.splitlines() if line.strip()]
    assert [row[0] for row in rows[2:6]] == [str(runs["word"]), str(path), str(other), "together"]
    assert "the state at line ends carried over; weights: those that make the validation text most probable" in out
    found = json.loads(call("eval", runs["word"], "--with", path, "--weights", "1,3", "--json", "-q")[1])
    assert [part["weight"] for part in found["parts"]] == [0.25, 0.75]
    alone = json.loads(call("eval", runs["word"], "--json", "-q")[1])
    assert found["parts"][0]["alone"]["perplexity"] == pytest.approx(alone["perplexity"], rel=1e-12)
    everything = json.loads(call("eval", runs["word"], "--with", path, "--weights", "1,0", "--json", "-q")[1])
    assert everything["together"]["perplexity"] == pytest.approx(alone["perplexity"], rel=1e-12)


def test_a_model_that_was_trained_with_another_state(call: Any, runs: dict[str, Path], other: Path) -> None:
    path = other / "model.safetensors"
    arrays, metadata = tensors.read_tensors(path)
    metadata["config"]["train"]["state"] = "reset"
    tensors.write_tensors(path, arrays, metadata)
    said = f"{other} was trained with the state reset, and is scored with carry: --state reset scores all models so"
    status, out, err = call("eval", runs["word"], "--with", other, "--weights", "2,2")
    assert (status, said in err) == (0, True)
    assert out.rstrip().endswith("weights: as given, divided by their sum")
    assert "was trained with" not in call("eval", runs["word"], "--with", runs["word"], "--weights", "1,1")[2]


def test_with_a_cache(call: Any, runs: dict[str, Path]) -> None:
    status, out, _ = call("eval", runs["word"], "--cache", "--cache-window", 50, "-q")
    assert status == 0
    rows = [line.split() for line in out.splitlines() if line.strip()]
    assert [row[0] for row in rows[2:5]] == [str(runs["word"]), "cache", "together"]
    assert len(rows[3]) == 2, "alone it holds the first token impossible"
    assert "cache: window 50, theta 0.3" in out.splitlines()


def test_dynamic_evaluation(call: Any, runs: dict[str, Path]) -> None:
    status, out, _ = call("eval", runs["word"], "--dynamic", "--dynamic-rate", "0.01", "-q")
    assert status == 0
    assert "dynamic evaluation: window 20, rate 0.01, decay 0.005" in out.splitlines()


def test_tuned_numbers_are_written_and_read_back(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "tuned.yaml"
    asked = ("eval", runs["word"], "--cache", "--dynamic", "--tune", "--save-tuned", path, "--json")
    status, out, err = call(*asked)
    assert status == 0
    assert "are the best of 30 settings" in err
    assert "dynamic: rate 0.001, decay 0.005: perplexity" in err
    found = json.loads(out)
    assert yaml.safe_load(path.read_text()) == found["tuned"]
    assert [part["weight"] for part in found["parts"]] == found["tuned"]["weights"]
    again = json.loads(call("eval", runs["word"], "--tuned", path, "--json", "-q")[1])
    assert again["together"]["perplexity"] == pytest.approx(found["together"]["perplexity"], rel=1e-12)
    assert [part["numbers"] for part in again["parts"]] == [part["numbers"] for part in found["parts"]]
    other = json.loads(call("eval", runs["word"], "--tuned", path, "--cache-theta", "0.7", "--json", "-q")[1])
    assert other["tuned"]["cache"] == {"window": found["tuned"]["cache"]["window"], "theta": 0.7}
    assert call(*asked)[0] == 2, "it is there already"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cache: {theta: -1}", "tuned.yaml:1:9: cache.theta: found -1; must be greater than or equal to 0"),
        ("cache: {thet: 1}", "tuned.yaml:1:9: cache.thet: unknown key"),
        ("dynamo: 1", "tuned.yaml:1:1: dynamo: unknown key"),
        ("weights: [0.5, x]", "tuned.yaml:1:16: weights.1: found 'x'; must be a valid number"),
        ("weights: [0.5, 0.25, 0.25]", "give --with FILE, --cache or --dynamic too"),
        ("cache: {}\nweights: [0.5, 0.25, 0.25]", "--weights: found 0.5,0.25,0.25; must be 2 numbers"),
        ("[", "tuned.yaml:1:2: not YAML"),
        ("x", "tuned.yaml:1:1: found 'x'; must be a mapping of keys (others, cache, ...)"),
    ],
)
def test_a_file_of_settings_that_is_wrong(
    call: Any, runs: dict[str, Path], tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "tuned.yaml"
    path.write_text(content)
    status, out, err = call("eval", runs["word"], "--tuned", path, "-q")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert message in err.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "1,2"], "--weights are those of a mixture; give --with FILE, --cache or --dynamic too"),
        (["--cache", "--cache-theta", "inf"], "--cache-theta: found inf; must be a finite number"),
        (["--cache", "--weights", "0,1"], "--weights: a token is impossible then"),
        (["--with", "x.arpa"], "x.arpa: No such file or directory"),
        (["--with", "nowhere"], "nowhere: no such file"),
        (["--with", "{run}", "--weights", "1"], "--weights: found 1.0; must be 2 numbers"),
        (["--save-tuned", "x.yaml"], "--save-tuned is of a mixture; give --with FILE, --cache or --dynamic too"),
        (["--cache", "--save-tuned", "x.txt"], "x.txt: a file of settings is written; name it NAME.yaml or NAME.yml"),
        (["--tune"], "--tune is for the cache and for dynamic evaluation; give --cache or --dynamic too"),
        (["--with", "{run}", "--tune"], "--tune is for the cache and for dynamic evaluation"),
        (["--cache-window", "9"], "--cache-window goes with --cache; give that too"),
        (["--dynamic-rate", "1e-3"], "--dynamic-rate goes with --dynamic; give that too"),
        (["--cache", "--cache-window", "0"], "--cache-window: found 0; must be greater than or equal to 1"),
        (["--dynamic", "--dynamic-rate", "0"], "--dynamic-rate: found 0.0; must be greater than 0"),
        (["--dynamic", "--dynamic-decay", "nan"], "--dynamic-decay: found nan; must be a finite number"),
        (["--tuned", "nowhere.yaml"], "nowhere.yaml: no such file; give a YAML file"),
        (["--cache", "--tune", "--weights", "1,1,1"], "--weights: found 1.0,1.0,1.0; must be 2 numbers"),
        (
            ["--cache", "--cache-theta", "1e308"],
            "--cache-theta: found 1e+308; must be less than or equal to",
        ),
        (["--cache", "--weights", "-1,2"], "--weights: found -1,2; must be numbers of 0 or more"),
        (["--with", "{run}", "--weights", "a,b"], "--weights: found a,b; must be numbers with commas between them"),
        (["--with", "{run}", "--per-token", "{folder}/t.tsv"], "--per-token is of the model alone"),
    ],
)
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["eval", "{run}", *arguments], message)


def test_a_file_of_settings_names_the_other_models(
    call: Any, runs: dict[str, Path], other: Path, tmp_path: Path
) -> None:
    path, arpa = tmp_path / "tuned.yaml", tmp_path / "3gram.arpa"
    assert call("ngram", runs["word"] / "config.yaml", "--order", 3, "-o", arpa, "-q")[0] == 0
    both = ("--with", arpa, "--with", other)
    made = json.loads(call("eval", runs["word"], *both, "--save-tuned", path, "--json", "-q")[1])
    assert made["tuned"]["others"] == [str(arpa), str(other)]
    again = json.loads(call("eval", runs["word"], "--tuned", path, "--json", "-q")[1])
    assert again["together"]["perplexity"] == pytest.approx(made["together"]["perplexity"], rel=1e-12)
    status, _, err = call("eval", runs["word"], "--with", other, "--with", arpa, "--tuned", path, "-q")
    assert status == 2
    assert f"--tuned: its weights are those of {arpa}, {other}, and --with names {other}, {arpa}" in err
    for read in (path, other / "config.yaml"):
        saved = ("--save-tuned", read, "--force")
        assert "this command reads it" in call("eval", runs["word"], *both, "--tuned", path, *saved, "-q")[2]


def test_tuning_finds_new_weights(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "tuned.yaml"
    path.write_text("cache: {window: 500, theta: 0.3}\nweights: [0.01, 0.99]\n")
    found = json.loads(call("eval", runs["word"], "--tuned", path, "--tune", "--json", "-q")[1])
    assert found["parts"][1]["weight"] < 0.9


def test_the_initial_state_is_that_of_all(call: Any, runs: dict[str, Path], other: Path) -> None:
    for state in ("model", "zero"):
        alone = json.loads(call("eval", runs["word"], "--initial-state", state, "--json", "-q")[1])
        mixed = ("--with", other, "--weights", "1,1", "--initial-state", state)
        found = json.loads(call("eval", runs["word"], *mixed, "--json", "-q")[1])
        assert found["together"]["initial_state"] == alone["initial_state"]
        for part in found["parts"]:
            assert part["alone"]["perplexity"] == pytest.approx(alone["perplexity"], rel=1e-12)


def test_another_vocabulary(call: Any, runs: dict[str, Path]) -> None:
    status, _, err = call("eval", runs["word"], "--with", runs["char"], "-q")
    assert status == 2
    assert "its vocabulary is another one; only models of the same tokens can be mixed" in err
