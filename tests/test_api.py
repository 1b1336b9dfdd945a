"""rnnlm from Python, as the README has it, and the same figures as on the command line."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from small import settings, write_texts

import rnnlm
from rnnlm import cli
from rnnlm.config import file as config_file
from rnnlm.errors import ConfigError, RnnlmError, in_python
from rnnlm.training.records import Start, Updates, Valid


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
    write_texts(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(config_file.dump(settings(tmp_path)))
    model = rnnlm.train(path, ("train.epochs=1", "model.hidden=7"))
    assert model.config.model.hidden == 7
    assert rnnlm.train(str(path), ("train.epochs=2", "model.hidden=7"), resume=True).trained.training["epoch"] == 2


def test_a_configuration_and_overrides_as_dicts(tmp_path: Path) -> None:
    """The same model as from the file and the texts, to the last bit."""
    write_texts(tmp_path)
    config = settings(tmp_path, run="file")
    path = tmp_path / "config.yaml"
    path.write_text(config_file.dump(config))
    rnnlm.train(path, ["train.epochs=1", "model.hidden=7", "model.cell.type=lstm", "model.cell.peepholes=true"])
    sections = config.model_dump() | {"run": tmp_path / "dict"}  # a Path will do
    overrides = {
        "train.epochs": np.int64(1), "model": {"hidden": 7, "cell": {"peepholes": True, "type": "lstm"}},
    }  # fmt: skip
    model = rnnlm.train(sections, overrides)
    assert model.config.model.cell.model_dump() == {
        "type": "lstm", "peepholes": True, "coupled_gates": False, "forget_bias": 1.0,
    }  # fmt: skip
    written = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("file", "dict")]
    assert written[0] == written[1]
    third = rnnlm.train(config, {"train.epochs": 1, "run": str(tmp_path / "third")})
    assert (third.config.train.epochs, third.config.model.hidden) == (1, 16)


@pytest.mark.parametrize(
    ("config", "overrides", "message"),
    [
        (
            {"data": {"train": "a"}, "train": {"epoch": 1}},
            {},
            "configuration: train.epoch: unknown key; did you mean",
        ),
        ({"data": {"train": "a"}}, {"train": {"epochs": "many"}}, "overrides: train.epochs.*: found 'many'"),
        ({"data": {"train": "a"}}, ["train.epochs=many"], "overrides train.epochs=many.*: found 'many'"),
        ({"data": {"train": "a"}}, ["train.epochs"], "overrides train.epochs: write it as section.key=value"),
        ({"data": {"train": "a"}}, {"train.epochs": {1}}, "configuration: found .1.; values are texts"),
        ({}, {}, "configuration: data: missing"),
    ],
)
def test_a_dict_that_is_wrong(config: dict[str, object], overrides: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rnnlm.train(config, overrides)


def test_messages_speak_of_keywords(tmp_path: Path, runs: dict[str, Path]) -> None:
    """Not of the command line's options, which nobody has typed here."""
    write_texts(tmp_path)
    config = settings(tmp_path, epochs=1)
    rnnlm.train(config)
    model = rnnlm.load(config.run)
    asks: list[tuple[Callable[[], object], str]] = [
        (
            lambda: rnnlm.train(config),
            "resume=True goes on with it, overrides={'run': 'DIR'} starts another, restart=",
        ),
        (lambda: rnnlm.train(config, {"train.seed": 2}, resume=True), "another folder with overrides={'run': 'DIR'}"),
        (
            lambda: rnnlm.train(config, resume=True, restart=True),
            "resume=True goes on .* restart=True throws it away",
        ),
        (lambda: model.sample("a", tokens=0), "^tokens: found 0"),
        (lambda: model.samples(2, "a", top_p=7), "^top_p: found 7"),
        (lambda: model.samples(0, "a"), "^samples: found 0"),
        (lambda: rnnlm.gradcheck(config.run, overrides=["a=b"]), "^overrides goes with a CONFIG"),
        (lambda: rnnlm.gradcheck(config.run, at=10**6), "lower steps or at"),
        (lambda: rnnlm.ledger(config.run, text="a b", steps=2, losses=3), "^losses: found 3"),
    ]
    for ask, message in asks:
        with pytest.raises(RnnlmError, match=message) as caught:
            ask()
        assert "--" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_only_options_become_keywords() -> None:
    for text in ("a--b.txt: no", "-- is no word", "found '---'", "x: 1 - -2"):
        with pytest.raises(RnnlmError) as caught, in_python():
            raise RnnlmError(text)
        assert str(caught.value) == text


def test_training_again_and_watched(tmp_path: Path) -> None:
    write_texts(tmp_path)
    config = settings(tmp_path, epochs=1)
    first = rnnlm.train(config)
    seen: list[object] = []
    again = rnnlm.train(config, {"train.epochs": 2}, restart=True, progress=seen.append)
    assert again.trained.training["epoch"] == 2 > first.trained.training["epoch"]
    logged = [record for record in again.curve() if record["event"] in ("updates", "valid")]
    watched = [record for record in seen if isinstance(record, Updates | Valid)]
    assert [record.loss for record in watched] == [record["loss"] for record in logged]
    assert any(isinstance(record, Start) for record in seen)


def test_what_there_is_can_be_completed() -> None:
    assert {"LanguageModel", "gradcheck", "ledger", "load", "train", "__version__"} <= set(dir(rnnlm))


def test_an_import_changes_nothing_of_the_users_process(tmp_path: Path) -> None:
    """Neither its environment nor, when a training is over, the threads of its own products."""
    write_texts(tmp_path)
    (tmp_path / "config.yaml").write_text(config_file.dump(settings(tmp_path, epochs=1)))
    script = (
        "import os, sys\n"
        "before = dict(os.environ)\n"
        "import rnnlm\n"
        "import numpy, scipy.linalg\n"
        "from rnnlm.kernels.matmul.blas_threads import _libraries\n"
        "numbers = [get() for get, _ in _libraries()]\n"
        "inside = []\n"
        "def watch(record): inside.append([get() for get, _ in _libraries()])\n"
        "rnnlm.train(sys.argv[1], progress=watch)\n"
        "assert inside and all(set(found) <= {1} for found in inside), inside\n"
        "assert [get() for get, _ in _libraries()] == numbers\n"
        "assert dict(os.environ) == before\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    command = [sys.executable, "-c", script, str(tmp_path / "config.yaml")]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert found.returncode == 0, found.stderr


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
    assert (found.pop("baseline"), shown.pop("baseline")["order"]) == (None, 5 if unit == "word" else 7)
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

model = rnnlm.train("quickstart", {"train": {"epochs": 1}}, restart=True, progress=print)
model = rnnlm.train({"data": {"grammar": "english"}}, ["train.epochs=1"], resume=True)
model = rnnlm.load("runs/quickstart", threads=2, initial_state="zero")
perplexity: float = model.perplexity("the dogs sleep", "reset")
each: list[float] = model.perplexity(["the dogs sleep", "a bird"])
losses = [record["loss"] for record in model.curve() if record["event"] == "valid"]
evaluation = model.evaluate(path="text.txt")
known: float | None = evaluation.perplexity_without_unk
figures: dict[str, object] = evaluation.json()
rank: int = [score.rank for score in model.surprisal("the dogs sleep")][0]
ranks: list[int] = [score.rank for scores in model.surprisal(["a", "the"], line_end=False) for score in scores]
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
