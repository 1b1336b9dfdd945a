"""The beginning of a run: a new one, or one that goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_runs import records, sha256, write_text

from rnnlm.config.network import Dropout
from rnnlm.errors import ConfigError, ModelError, TextError
from rnnlm.files import model_file, tensors
from rnnlm.training.loop import train
from rnnlm.training.records import End, Valid
from rnnlm.work import Note


def test_more_epochs_than_before(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    longer = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 3})})
    assert [record.epoch for record in records(longer, Valid, resume=True)] == [2, 3]
    assert records(longer, Valid, resume=True) == []  # nothing left to do
    assert any("complete after update" in note.text for note in records(longer, Note, resume=True))


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"epochs": 1}, "epochs"),
        ({"max_updates": 4}, "max_updates"),
        ({"max_minutes": 1e-9}, "max_minutes"),
        ({"epochs": 40, "learning_rate": 0.3, "optimizer": "adam", "patience": 1}, "patience"),
    ],
)
def test_a_complete_run_says_what_would_go_on(make_config: Any, keys: dict[str, Any], key: str) -> None:
    config = make_config(**keys)
    list(train(config))
    assert any(f"a larger train.{key} would go on from there" in note.text for note in records(config, Note, True))
    longer = config.train.model_copy(update={key: 50})
    end = records(config.model_copy(update={"train": longer}), End, resume=True)[0]
    assert end.updates > (4 if key == "max_updates" else 1)


def test_without_its_best_model_a_run_does_not_go_on(make_config: Any) -> None:
    """Nor are its last weights taken for it."""
    config = make_config(epochs=2)
    list(train(config))
    model = Path(config.run) / "model.safetensors"
    content = model.read_bytes()
    model.write_bytes(content[:1000])
    with pytest.raises(ModelError, match=r"model.safetensors: not a whole safetensors file"):
        list(train(config, resume=True))
    model.unlink()
    for attempt in (lambda: list(train(config, resume=True)), lambda: model_file.load(config.run)):
        with pytest.raises(
            ModelError, match=r"the best model, model.safetensors \(validation perplexity .*\), is not"
        ):
            attempt()
    assert model_file.load(Path(config.run) / "state.safetensors").parameters
    model.write_bytes(content)
    list(train(config, resume=True))


def test_settings_without_effect_are_said(make_config: Any) -> None:
    def said(dropout: Any, **keys: Any) -> list[str]:
        config = make_config(max_updates=1, **keys)
        model = config.model.model_copy(update={"dropout": Dropout.model_validate(dropout)})
        config = config.model_copy(update={"model": model, "run": f"{config.run}{len(runs)}"})
        runs.append(config)
        return [note.text for note in records(config, Note) if re.match("train.patience|model.dropout", note.text)]

    runs: list[Any] = []
    (average,) = said({}, average="asgd", patience=5)
    assert average.startswith("train.patience: 5 will end the training before an average of the weights begins")
    (between,) = said({"between": 0.25})
    assert between == "model.dropout.between: 0.25 drops nothing, as there is one layer"
    for keys in ({"average": "asgd", "patience": 6}, {"average": "asgd", "patience": None}, {"average": "ema"}):
        assert said({"input": 0.3, "between": 0.3, "output": 0.3}, **keys) == []


def test_a_longer_plan_says_where_the_rate_jumps_to(make_config: Any) -> None:
    config = make_config(epochs=1, schedule="linear")
    list(train(config))
    longer = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 4})})
    said = [note.text for note in records(longer, Note, resume=True) if "schedule" in note.text]
    assert len(said) == 1
    assert "so the learning rate goes on at 0.75 instead of 0" in said[0]


def test_a_warm_up_longer_than_the_run(make_config: Any) -> None:
    for keys in ({"epochs": 1}, {"max_updates": 9}):
        config = make_config(schedule={"type": "constant", "warmup_updates": 500}, **keys)
        with pytest.raises(
            ConfigError, match=r"train.schedule.warmup_updates: found 500, and the whole run has \d+ up"
        ):
            list(train(config))
        assert not Path(config.run, "config.yaml").exists()


def test_a_run_of_another_text(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    write_text(Path(str(config.data.train)), 60, 3)
    with pytest.raises(ModelError, match="not the text that .* was trained with"):
        list(train(config, resume=True))


def test_a_checkpoint_whose_moments_have_another_shape(make_config: Any) -> None:
    config = make_config(epochs=1, optimizer="adam")
    list(train(config))
    state = Path(config.run) / "state.safetensors"
    arrays, metadata = tensors.read_tensors(state)
    arrays["optimizer.m.cell.0.H"] = arrays["optimizer.m.cell.0.H"][:1]  # would be repeated in every row
    tensors.write_tensors(state, arrays, metadata)
    with pytest.raises(ModelError, match=r"not a state to go on from: optimizer\.m\.cell\.0\.H is float32 \(1, "):
        list(train(config, resume=True))


STATES = [
    ("optimizer.m.cell.0.H", lambda x: x[:1], r"optimizer.m.cell.0.H is float32 \(1, 8\)"),
    ("optimizer.v.output.U", lambda x: x.astype(np.float64), "optimizer.v.output.U is float64"),
    ("optimizer.v.output.U", lambda x: x - 1e9, "optimizer.v.output.U, a mean of squares, has numbers below 0"),
    ("optimizer.m.output.b2", lambda x: x * np.nan, "optimizer.m.output.b2 holds numbers that are not finite"),
    ("average.output.b2", lambda x: x[1:], "average.output.b2 is float32"),
    ("average.cell.0.H", lambda x: None, "the tensor average.cell.0.H is missing"),
    ("carry.0", lambda x: x[:-1], r"carry.0 is float32 \(3, 8\)"),
    ("carry.0", lambda x: x + np.inf, "carry.0 holds numbers that are not finite"),
]


@pytest.mark.parametrize(("name", "change", "message"), STATES, ids=[message for _, _, message in STATES])
def test_every_tensor_of_a_checkpoint_is_checked(
    make_config: Any, monkeypatch: pytest.MonkeyPatch, name: str, change: Any, message: str
) -> None:
    config = make_config(optimizer="adam", average="ema", max_updates=3)
    list(train(config))
    path = Path(config.run) / "state.safetensors"
    arrays, metadata = tensors.read_tensors(path)
    changed = change(arrays.pop(name))
    with monkeypatch.context() as patch:
        patch.setattr(tensors, "not_finite", lambda tensors: None)  # as an older version, which wrote anything
        tensors.write_tensors(path, arrays if changed is None else {**arrays, name: changed}, metadata)
    with pytest.raises(ModelError, match=f"not a state to go on from: {message}") as caught:
        list(train(config, resume=True))
    assert "\n" not in str(caught.value)


POSITIONS = [
    ("epoch_loss", "much", "epoch_loss: .* found 'much'"),
    ("tokens", 2**70, "tokens: .* found a number beyond 64 bits"),
    ("losses", [1.0, None], "losses.1: .* found None"),
    ("best", float("nan"), "best: .* found nan"),
    ("offset", 10**6, "the position .* is not in a text of"),
    ("window", 0, "the position 0, 5 is not in a text of"),
]


@pytest.mark.parametrize(("key", "value", "message"), POSITIONS, ids=[key for key, _, _ in POSITIONS])
def test_every_number_of_a_position_is_checked(make_config: Any, key: str, value: Any, message: str) -> None:
    config = make_config(max_updates=1)
    list(train(config))
    path = Path(config.run) / "state.safetensors"
    arrays, metadata = tensors.read_tensors(path)
    metadata["position"][key] = value
    tensors.write_tensors(path, arrays, metadata)
    with pytest.raises(ModelError, match=f"not a state to go on from: {message}"):
        list(train(config, resume=True))


def test_a_folder_with_a_checkpoint_alone_is_loaded(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    (Path(config.run) / "model.safetensors").unlink()
    path = Path(config.run) / "state.safetensors"
    arrays, metadata = tensors.read_tensors(path)
    metadata["position"]["best"] = "x"
    tensors.write_tensors(path, arrays, metadata)
    with pytest.raises(ModelError, match=r"damaged: the header does not hold a model \(position.best"):
        model_file.load(config.run)
    metadata["position"]["best"] = None  # as before the first validation
    tensors.write_tensors(path, arrays, metadata)
    assert model_file.load(config.run).path.name == "state.safetensors"


def test_resume_without_a_checkpoint_starts(make_config: Any) -> None:
    notes = records(make_config(epochs=1), Note, resume=True)
    assert any("no checkpoint yet" in note.text for note in notes)


def test_a_corpus_of_three_words(make_config: Any) -> None:
    config = make_config()
    Path(str(config.data.train)).write_text("one two three\n")
    with pytest.raises(TextError, match=r"4 tokens, fewer than one window .* lower one of them"):
        list(train(config))
    small = config.train.model_copy(update={"batch": 2, "bptt": 2})
    Path(str(config.data.valid)).write_text("two three\n")
    config = config.model_copy(update={"train": small})
    assert records(config, End)[0].reason == "epochs"


def test_a_validation_text_in_another_language(make_config: Any) -> None:
    config = make_config()
    Path(str(config.data.valid)).write_text("der die das und nicht " * 20 + "\n")
    with pytest.raises(TextError, match="not in the vocabulary"):
        list(train(config))


def test_seeds(make_config: Any) -> None:
    runs = [make_config({"dropout": 0.1}, seed=seed, epochs=1) for seed in (1, 1, 2)]
    for config in runs:
        list(train(config))
    weights = [model_file.load(config.run).parameters["cell.0.H"] for config in runs]
    assert sha256(runs[0]) == sha256(runs[1])
    assert (weights[0] != weights[2]).any()
