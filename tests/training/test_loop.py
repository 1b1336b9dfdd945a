"""The loop: what an update is, what ends a run, and that a stopped run goes on to the same bytes."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from every_cell import every_cell

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, ModelError, NotFiniteError, TextError
from rnnlm.files import model_file
from rnnlm.training.loop import train
from rnnlm.training.optimizers.optimizer import RULES
from rnnlm.training.records import Checkpoint, End, Start, Updates, Valid
from rnnlm.work import Note

WORDS = ["the", "a", "dog", "cat", "bird", "sees", "hears", "and", "sleeps", "runs"]


def write_text(path: Path, lines: int, seed: int) -> Path:
    generator = random.Random(seed)
    path.write_text(
        "".join(" ".join(generator.choices(WORDS, k=generator.randint(1, 9))) + "\n" for _ in range(lines))
    )
    return path


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """A configuration of a small run, each with a folder of its own."""
    write_text(tmp_path / "train.txt", 60, 1)
    write_text(tmp_path / "valid.txt", 20, 2)
    count = iter(range(100))

    def build(model: dict[str, Any] | None = None, **train_keys: Any) -> Config:
        return config_file.validate(
            {
                "data": {"train": str(tmp_path / "train.txt"), "valid": str(tmp_path / "valid.txt")},
                "embedding": {"size": 6},
                "model": {
                    "hidden": 8,
                    "cell": {"type": "elman", "activation": "tanh"},
                    **(model or {}),
                },
                "train": {
                    "bptt": 5, "batch": 4, "epochs": 2, "log": {"every_updates": 3}, "threads": 2, **train_keys,
                },
                "run": str(tmp_path / f"run{next(count)}"),
            }
        )  # fmt: skip

    return build


def records(config: Config, kind: type, resume: bool = False) -> list[Any]:
    return [record for record in train(config, resume) if isinstance(record, kind)]


def sha256(config: Config, name: str = "model.safetensors") -> str:
    return hashlib.sha256((Path(config.run) / name).read_bytes()).hexdigest()


def start_weights(config: Config) -> dict[str, np.ndarray]:
    """The weights before the first update: those after one with almost no learning rate."""
    changed = config.train.model_copy(update={"learning_rate": 1e-300, "max_updates": 1})
    other = config.model_copy(update={"train": changed, "run": f"{config.run}-start"})
    list(train(other))
    return model_file.load(other.run).parameters


@pytest.mark.parametrize("loss", ["every", "last"])
@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize(("bptt", "stride"), [(5, 5), (5, 2), (5, 1), (3, 2)])
def test_the_updates_are_those_of_a_plain_loop(make: Any, loss: str, state: str, bptt: int, stride: int) -> None:
    """Two passes of sgd against the oracle's gradients, windows cut by hand."""
    config = make(
        bptt=bptt, bptt_stride=stride, loss=loss, state=state, precision="float64", optimizer="sgd",
        learning_rate=0.3, clip_norm=2.0, max_updates=None, patience=None,
    )  # fmt: skip
    weights = {name: value.copy() for name, value in start_weights(config).items()}
    list(train(config))
    found = model_file.load(Path(config.run) / "state.safetensors")

    vocabulary = found.vocabulary
    text = Path(str(config.data.train)).read_text().replace("\n", " </s> ").split()
    ids = [vocabulary.id(word) for word in text]
    batch = config.train.batch
    length = len(ids) // batch
    before = [vocabulary.line_end, *ids]
    x = np.array([[before[b * length + t] for b in range(batch)] for t in range(length)], np.int32)
    y = np.array([[ids[b * length + t] for b in range(batch)] for t in range(length)], np.int32)
    reset = (x == vocabulary.line_end) & (state == "reset")
    for _ in range(config.train.epochs):
        # h[t]: the state before step t, as the weights of that time made it
        h = {0: np.zeros((batch, 8))}
        for done in range(0, length, stride):
            end = min(done + stride, length)
            begin = max(0, done - (bptt - stride))
            window = slice(begin, end)
            steps = 1 if loss == "last" else end - done
            arguments = (weights, x[window], y[window], [h[begin]], "tanh", steps)
            gradients, _ = oracle.gradients(*arguments, reset=reset[window])
            trace = oracle.forward(weights, x[window], [h[begin]], "tanh", reset=reset[window])
            for t in range(begin, end):
                h[t + 1] = trace.h[0][t - begin]
            norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
            for name in weights:
                weights[name] = weights[name] - 0.3 * min(1, 2.0 / norm) * gradients[name]
    for name in weights:
        np.testing.assert_allclose(found.parameters[name], weights[name], rtol=0, atol=1e-11)


def test_records_and_log(make: Any) -> None:
    config = make()
    found = list(train(config))
    start = next(record for record in found if isinstance(record, Start))
    assert isinstance(found[-1], End)
    assert [record.epoch for record in found if isinstance(record, Valid)] == [1, 2]
    updates = [record for record in found if isinstance(record, Updates)]
    assert [record.updates for record in updates] == list(range(3, start.total_updates + 1, 3))
    for record in updates:
        assert record.perplexity == pytest.approx(np.exp(record.loss))
        assert record.gradient_norm > 0
    lines = [json.loads(line) for line in (Path(config.run) / "log.jsonl").read_text().splitlines()]
    assert {line["event"] for line in lines} == {"updates", "valid", "checkpoint", "end"}
    assert [line["updates"] for line in lines if line["event"] == "updates"] == [record.updates for record in updates]
    keys = {
        "event",
        "updates",
        "epoch",
        "tokens",
        "seconds",
        "loss",
        "perplexity",
        "tokens_per_second",
        "learning_rate",
    }
    assert all(keys <= set(line) for line in lines if line["event"] in ("updates", "valid"))


def test_training_learns(make: Any) -> None:
    """Words follow their line's first word: a network that learns gets far below the unigram perplexity."""
    config = make(epochs=30, optimizer="adam", learning_rate=0.01, patience=None)
    text = "".join(f"{word} {word} {word} {word}\n" for word in WORDS * 12)
    Path(str(config.data.train)).write_text(text)
    Path(str(config.data.valid)).write_text("".join(f"{word} {word} {word} {word}\n" for word in WORDS))
    assert records(config, End)[0].best_perplexity < 2


def check_resume(make: Any, model: dict[str, Any], keys: dict[str, Any], stops: tuple[int, ...]) -> Config:
    """A run that is stopped after so many updates each time ends with the bytes of one that is not."""
    whole, parts = make(model, **keys), make(model, **keys)
    list(train(whole))
    for updates in stops:
        remaining = iter(range(updates))
        found = list(train(parts, resume=True, stop=lambda r=remaining, n=updates - 1: next(r, None) == n))
        assert found[-1].reason == "interrupted"
    found = list(train(parts, resume=True))
    assert found[-1].reason == "epochs"
    for name in ("model.safetensors", "vocab.txt"):
        assert sha256(whole, name) == sha256(parts, name)
    first, second = (model_file.load(Path(config.run) / "state.safetensors") for config in (whole, parts))
    assert set(first.extra) == set(second.extra)
    for name, value in (first.parameters | first.extra).items():
        assert value.tobytes() == (second.parameters | second.extra)[name].tobytes(), name
    return whole


@pytest.mark.parametrize("optimizer", RULES)
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_a_stopped_run_goes_on_to_the_same_bytes(make: Any, optimizer: str, state: str) -> None:
    """Stopped after 5 updates, in the middle of a pass, and again 9 later, in the next one."""
    keys = dict(
        optimizer={"type": optimizer, "weight_decay": 1e-3}, state=state, bptt=6, bptt_stride=4, learning_rate=0.05,
        schedule={"type": "cosine", "warmup_updates": 3},
    )  # fmt: skip
    check_resume(make, {"layers": 2, "dropout": 0.2}, keys, (5, 9))


# Everything that an update can have beside the optimizer.
ALL_OPTIONS = dict(
    optimizer={"type": "adamw", "weight_decay": 0.01}, learning_rate=0.01, bptt=6,
    schedule={"type": "cosine", "cycles": 2, "warmup_updates": 2},
    bptt_deviation=2, accumulate=2, gradient_noise=0.01,
    penalties={"activation": 0.1, "temporal": 0.1, "label_smoothing": 0.1}, clip_value=0.5, epochs=4, patience=None,
)  # fmt: skip


@every_cell
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resume_with_every_option_on(make: Any, model: dict[str, Any], precision: str) -> None:
    dropped = {
        "hidden": [8, 6], "tie_weights": True, "layer_norm": True,
        "dropout": {
            "input": 0.1, "between": 0.2, "output": 0.3, "variational": True, "words": 0.1,
            "recurrent": 0.2 if model["cell"]["type"] != "mingru" else 0,
        },
    }  # fmt: skip
    check_resume(make, dropped | model, {**ALL_OPTIONS, "precision": precision, "average": "ema"}, (3, 6))


def test_resume_of_an_average_that_has_begun(make: Any) -> None:
    """A learning rate so high that validation is soon worse: stopped before and after the trigger."""
    keys = dict(optimizer="sgd", learning_rate=5.0, clip_norm=None, epochs=6, patience=None)
    keys |= dict(average={"type": "asgd", "patience": 1})
    config = check_resume(make, {}, keys, (20, 40))
    state = model_file.load(Path(config.run) / "state.safetensors")
    averaged = state.position["averaged"]
    assert 0 < averaged < state.training["updates"] - 20
    assert (state.extra["average.cell.0.H"] != state.parameters["cell.0.H"]).any()


def test_a_run_that_goes_on_has_one_log(make: Any) -> None:
    config = make(checkpoint={"every_updates": None})
    remaining = iter(range(100))
    list(train(config, stop=lambda: next(remaining) == 6))
    log = Path(config.run) / "log.jsonl"
    with log.open("a") as file:
        file.write('{"event": "updates", "updates": 9}\n{"event": "up')  # written after the checkpoint, then killed
    list(train(config, resume=True))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    updates = [line["updates"] for line in lines if line["event"] == "updates"]
    assert updates == sorted(set(updates))


def test_more_epochs_than_before(make: Any) -> None:
    config = make(epochs=1)
    list(train(config))
    longer = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 3})})
    assert [record.epoch for record in records(longer, Valid, resume=True)] == [2, 3]
    assert records(longer, Valid, resume=True) == []  # nothing left to do
    assert any("complete after update" in note.text for note in records(longer, Note, resume=True))


def test_an_existing_run_is_not_overwritten(make: Any) -> None:
    config = make(epochs=1)
    list(train(config))
    before = sha256(config)
    with pytest.raises(ModelError, match=r"--resume goes on with it, --run DIR starts another, --restart"):
        list(train(config))
    assert sha256(config) == before


def test_a_run_of_another_configuration(make: Any) -> None:
    config = make(epochs=1)
    list(train(config))
    other = config.model_copy(update={"model": config.model.model_copy(update={"hidden": 9})})
    with pytest.raises(ConfigError, match=r"model\.hidden: 8, the configuration 9"):
        list(train(other, resume=True))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"optimizer": "adam"}, r"train\.optimizer\.type: sgd, the configuration adam;"),
        (
            {"optimizer": {"type": "sgd", "weight_decay": 0.1}},
            r"train\.optimizer\.weight_decay: 0.0, the configuration 0.1;",
        ),
        ({"average": "ema"}, r"train\.average: null, the configuration {type: ema, decay: 0.999};"),
    ],
)
def test_the_option_that_differs_is_named(make: Any, keys: dict[str, Any], message: str) -> None:
    config = make(epochs=1)
    list(train(config))
    other = make(epochs=1, **keys).model_copy(update={"run": config.run})
    with pytest.raises(ConfigError, match=message):
        list(train(other, resume=True))


def test_what_may_differ_when_a_run_goes_on(make: Any) -> None:
    config = make(epochs=1)
    list(train(config))
    changed = {
        "checkpoint": {"every_updates": 2, "every_minutes": 1},
        "log": {"every_updates": 1},
        "max_updates": 1000,
    }
    other = make(epochs=2, patience=None, **changed).model_copy(update={"run": config.run})
    assert records(other, End, resume=True)[0].reason == "epochs"


def test_a_run_of_another_text(make: Any) -> None:
    config = make(epochs=1)
    list(train(config))
    write_text(Path(str(config.data.train)), 60, 3)
    with pytest.raises(ModelError, match="not the text that .* was trained on"):
        list(train(config, resume=True))


def test_resume_without_a_checkpoint_starts(make: Any) -> None:
    notes = records(make(epochs=1), Note, resume=True)
    assert any("no checkpoint yet" in note.text for note in notes)


def test_early_stopping_and_the_best_model(make: Any) -> None:
    """A learning rate that is far too high: the first epochs are the best, and the best model is kept."""
    config = make(epochs=40, learning_rate=0.3, optimizer="adam", patience=2)
    valids = records(config, Valid)
    best = min(valids, key=lambda record: record.perplexity)
    assert len(valids) == best.epoch + 2
    trained = model_file.load(config.run)
    assert trained.training["best_validation_perplexity"] == pytest.approx(best.perplexity)
    assert trained.training["epoch"] == best.epoch
    assert model_file.load(Path(config.run) / "state.safetensors").training["epoch"] == len(valids)


def test_halving(make: Any) -> None:
    config = make(epochs=12, learning_rate=0.5, optimizer="adagrad", schedule="plateau", patience=None)
    valids = records(config, Valid)
    best, rate = np.inf, 0.5
    for record in valids:
        assert record.learning_rate == pytest.approx(rate)
        if record.perplexity > best * (1 - config.train.schedule.min_improvement):
            rate /= 2
        best = min(best, record.perplexity)
    assert rate < 0.5


def test_max_updates(make: Any) -> None:
    config = make(max_updates=7)
    end = records(config, End)[0]
    assert (end.updates, end.reason) == (7, "max_updates")
    assert model_file.load(config.run).training["updates"] == 7


def test_checkpoints_by_updates_and_minutes(make: Any) -> None:
    config = make(checkpoint={"every_updates": 4})
    everything = list(train(config))
    per_epoch = next(record for record in everything if isinstance(record, Start)).updates_per_epoch
    found = [record.updates for record in everything if isinstance(record, Checkpoint)]
    wanted = {*range(4, 2 * per_epoch, 4), per_epoch, 2 * per_epoch}
    assert found == sorted(wanted)
    by_time = records(make(checkpoint={"every_updates": None, "every_minutes": 1e-9}), Checkpoint)
    assert len(by_time) == 2 * per_epoch


def test_without_a_validation_text_the_last_model_is_kept(make: Any) -> None:
    config = make()
    data = config.data.model_copy(update={"valid": None})
    config = config.model_copy(update={"data": data})
    list(train(config))
    assert model_file.load(config.run).training["epoch"] == 2


def test_seeds(make: Any) -> None:
    runs = [make({"dropout": 0.1}, seed=seed, epochs=1) for seed in (1, 1, 2)]
    for config in runs:
        list(train(config))
    weights = [model_file.load(config.run).parameters["cell.0.H"] for config in runs]
    assert sha256(runs[0]) == sha256(runs[1])
    assert (weights[0] != weights[2]).any()


def test_a_loss_that_is_not_finite(make: Any) -> None:
    config = make(optimizer="sgd", learning_rate=1e38, clip_norm=None, checkpoint={"every_updates": 1}, epochs=5)
    with pytest.raises(
        NotFiniteError, match=r"update \d+: not finite: .* (cell|output|embedding)\S* .*last checkpoint is"
    ):
        list(train(config))
    assert all(np.isfinite(value).all() for value in model_file.load(config.run).parameters.values())
    assert not [path for path in Path(config.run).rglob("*.tmp")]


def test_a_corpus_of_three_words(make: Any) -> None:
    config = make()
    Path(str(config.data.train)).write_text("one two three\n")
    with pytest.raises(TextError, match=r"4 tokens, fewer than one window .* lower one of them"):
        list(train(config))
    small = config.train.model_copy(update={"batch": 2, "bptt": 2})
    Path(str(config.data.valid)).write_text("two three\n")
    config = config.model_copy(update={"train": small})
    assert records(config, End)[0].reason == "epochs"


def test_a_validation_text_in_another_language(make: Any) -> None:
    config = make()
    Path(str(config.data.valid)).write_text("der die das und nicht\n" * 20)
    with pytest.raises(TextError, match="not in the vocabulary"):
        list(train(config))


@pytest.mark.slow
def test_kill_9_at_ten_random_moments(make: Any, tmp_path: Path) -> None:
    """Killed without warning, resumed each time: the bytes of the run that never stopped."""
    keys = dict(
        epochs=6, checkpoint={"every_updates": 7}, optimizer="adam", learning_rate=0.01, state="reset", patience=None
    )
    write_text(tmp_path / "train.txt", 4000, 1)
    whole, killed = make({"dropout": 0.1}, **keys), make({"dropout": 0.1}, **keys)
    for config in (whole, killed):
        Path(f"{config.run}.yaml").write_text(config_file.dump(config))
    command = [sys.executable, "-m", "rnnlm", "train", "--resume", "--quiet"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    began = time.monotonic()
    subprocess.run([*command, f"{whole.run}.yaml"], check=True, env=environment, capture_output=True)
    duration = time.monotonic() - began
    generator = random.Random(5)
    kills = 0
    while kills < 10:
        process = subprocess.Popen(
            [*command, f"{killed.run}.yaml"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(generator.uniform(0.2, 0.9) * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            # It came to its end first: that must be the right one, and the next run begins anew.
            assert process.returncode == 0
            assert sha256(whole) == sha256(killed)
            shutil.rmtree(killed.run)
    subprocess.run([*command, f"{killed.run}.yaml"], check=True, env=environment, capture_output=True)
    assert sha256(whole) == sha256(killed)


@pytest.mark.parametrize("average", [{"type": "ema", "decay": 0.9}, {"type": "asgd", "patience": 1}])
def test_the_model_is_the_average(make: Any, average: dict[str, Any]) -> None:
    """The weights after every update, averaged by hand, are those of the model; training goes on from its own."""
    keys = dict(optimizer="sgd", learning_rate=2.0, clip_norm=None, patience=None)
    keys |= dict(epochs=5, checkpoint={"every_updates": 1}, precision="float64")
    config, plain = make(average=average, **keys), make(**keys)
    weights = []
    for record in train(plain):
        if isinstance(record, Checkpoint):
            weights.append(model_file.load(record.path).parameters)
    list(train(config))
    state = model_file.load(Path(config.run) / "state.safetensors")
    assert all((state.parameters[name] == value).all() for name, value in weights[-1].items())
    count = state.position["averaged"]
    if average["type"] == "asgd":
        assert 0 < count < len(weights)
        wanted = {name: np.mean([own[name] for own in weights[-count:]], axis=0) for name in weights[0]}
    else:
        assert count == len(weights)
        wanted = {name: value.copy() for name, value in start_weights(config).items()}
        for k, own in enumerate(weights, 1):
            d = min(0.9, (1 + k) / (10 + k))
            wanted = {name: d * wanted[name] + (1 - d) * own[name] for name in wanted}
    for name, value in wanted.items():
        np.testing.assert_allclose(state.extra[f"average.{name}"], value, rtol=1e-12, atol=1e-12)
    best = model_file.load(config.run)
    if best.training["epoch"] == 5:
        for name, value in wanted.items():
            np.testing.assert_allclose(best.parameters[name], value, rtol=0, atol=1e-12)


def test_windows_of_random_lengths(make: Any) -> None:
    """Every token has its loss once; the number of updates is the one that was announced."""
    config = make(bptt_deviation=2, epochs=3, log={"every_updates": 1}, patience=None)
    found = list(train(config))
    start = next(record for record in found if isinstance(record, Start))
    updates = [record for record in found if isinstance(record, Updates)]
    assert len(updates) == start.total_updates
    assert updates[-1].tokens == 3 * start.tokens_per_epoch
    assert len({b.tokens - a.tokens for a, b in itertools.pairwise(updates)}) > 3
