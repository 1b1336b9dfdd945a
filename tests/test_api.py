"""rnnlm from Python, as the README has it, and the same figures as on the command line."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from small import settings, write_texts

import rnnlm
from rnnlm import cli


def test_the_lines_of_the_module(tmp_path: Path) -> None:
    """Twice in one process: neither the loop's module nor anything else stands in the function's place."""
    write_texts(tmp_path)
    for number in range(2):
        config = settings(tmp_path, run=f"run{number}", epochs=1)
        trained = rnnlm.train(config)
        model = rnnlm.load(config.run)
        assert isinstance(model, rnnlm.LanguageModel)
        assert model.perplexity("the dog sleeps") == trained.perplexity("the dog sleeps") > 1
        scores = model.surprisal("a bird sings")
        assert [score.token for score in scores] == ["a", "bird", "sings", "</s>"]
        assert [(score.position, score.line) for score in scores] == [(1, 1), (2, 1), (3, 1), (4, 1)]
        assert model.sample(prompt="the", tokens=5).startswith("the ")
    assert callable(rnnlm.train)


def test_a_yaml_file_with_overrides(tmp_path: Path) -> None:
    from rnnlm.config import file as config_file

    write_texts(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(config_file.dump(settings(tmp_path)))
    model = rnnlm.train(path, ("train.epochs=1", "model.hidden=7"))
    assert model.config.model.hidden == 7
    assert rnnlm.train(str(path), ("train.epochs=2", "model.hidden=7"), resume=True).trained.training["epoch"] == 2


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'rnnlm' has no attribute 'nonsense'"):
        rnnlm.nonsense  # noqa: B018


def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    monkeypatch.setattr(sys, "argv", ["rnnlm", *map(str, arguments)])
    cli.main()
    return capfd.readouterr().out


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_command_line_gives_the_same(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    runs: dict[str, Path],
    unit: str,
    tmp_path: Path,
) -> None:
    model = rnnlm.load(runs[unit])
    text = tmp_path / "text.txt"
    text.write_text("the dog sees a zebra\na bird sings\n")
    found = model.evaluate(path=text).json()
    shown = json.loads(call(monkeypatch, capfd, "eval", runs[unit], text, "--json"))
    assert shown.pop("text") == str(text)
    for figures in (found, shown):
        del figures["seconds"], figures["tokens_per_second"]
    assert json.loads(json.dumps(found)) == shown

    settings = {"tokens": 40, "temperature": 2.0, "seed": 3}
    options = ["--prompt", "the", "--tokens", 40, "--temperature", 2.0, "--seed", 3]
    wanted = model.sample("the", **settings)
    streamed = call(monkeypatch, capfd, "sample", runs[unit], *options)
    assert streamed == wanted + "\n" * (not wanted.endswith("\n")), "the pieces that are streamed are the text"
    several = model.samples(3, "the", **settings)
    assert several[0] == wanted
    shown = json.loads(call(monkeypatch, capfd, "sample", runs[unit], *options, "--samples", 3, "--json"))
    assert shown == {"prompt": "the", "initial_state": "model", "samples": several}


TEXT = "the dog sees the cat\na bird sings\n"


def test_gradients_from_python(runs: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    assert rnnlm.gradcheck(runs["word"], steps=3, numbers=8).passed
    from_text, from_path = (
        rnnlm.gradcheck(runs["word"], steps=3, batch=1, at=2, numbers=8, **given)
        for given in ({"text": TEXT}, {"path": str(path)})
    )
    assert from_text.passed
    assert from_text.loss == from_path.loss
    found, same = rnnlm.ledger(runs["word"], text=TEXT, steps=5), rnnlm.ledger(runs["word"], path=path, steps=5)
    assert found.targets == same.targets == ("the", "dog", "sees", "the", "cat")
    assert found.layers[0].norm["H"].shape == (5, 5)


def test_a_text_is_given_as_a_text_or_as_a_path(runs: dict[str, Path]) -> None:
    for ask in (rnnlm.gradcheck, rnnlm.ledger):
        with pytest.raises(TypeError, match="text= and path= are both given; give text="):
            ask(runs["word"], text=TEXT, path="text.txt")
    with pytest.raises(TypeError, match="neither text= nor path= is given; give text="):
        rnnlm.ledger(runs["word"])


def test_functions_and_modules_do_not_share_names() -> None:
    """Else importing the module would take the function's place."""
    packages = ["rnnlm", *(found.name for found in pkgutil.walk_packages(rnnlm.__path__, "rnnlm.") if found.ispkg)]
    assert len(packages) > 15
    for name in packages:
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__):
            found = getattr(package, module.name, None)
            assert found is None or isinstance(found, ModuleType), f"{name}.{module.name}"


SCRIPT = """
import rnnlm

model = rnnlm.train("quickstart", ["train.epochs=1"], resume=True)
model = rnnlm.load("runs/quickstart", threads=2)
perplexity: float = model.perplexity("the dogs sleep", "reset")
evaluation = model.evaluate(path="text.txt")
known: float | None = evaluation.perplexity_without_unk
figures: dict[str, object] = evaluation.json()
rank: int = [score.rank for score in model.surprisal("the dogs sleep")][0]
text: str = model.sample("the", tokens=20, temperature=0.8, top_k=10)
texts: list[str] = model.samples(3, "the", seed=2)
shape: tuple[int, ...] = model.parameters["output.U"].shape
passed: bool = rnnlm.gradcheck("quickstart", overrides=["model.layers=2"], path="text.txt", through="all").passed
targets: tuple[str, ...] = rnnlm.ledger("runs/quickstart", text="the dogs", steps=3, precision="float64").targets
"""


@pytest.mark.slow
def test_a_users_script_is_typed_through_and_through(tmp_path: Path) -> None:
    """No expression of it is an Any, and mistakes are found."""

    def check(script: str) -> str:
        (tmp_path / "script.py").write_text(script)
        command = [sys.executable, "-m", "mypy", "--strict", "--disallow-any-expr", "--follow-imports=silent"]
        command += ["--config-file=", f"--cache-dir={tmp_path / 'cache'}", str(tmp_path / "script.py")]
        return subprocess.run(command, capture_output=True, text=True, cwd=Path(rnnlm.__file__).parents[1]).stdout

    assert "Success" in check(SCRIPT)
    mistakes = [
        "training = model.trained.training  # a dict[str, Any]",
        "rnnlm.nonsense",
        "model.sample(5)",
        "model.evaluate('text.txt')",
        "rnnlm.ledger('a', text=b'')",
    ]
    found = check(SCRIPT + "\n".join(mistakes))
    assert f"Found {len(mistakes)} errors" in found, found
