"""Keys of the configuration's first format: each is refused with the key that took its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rnnlm.config import file as config_file
from rnnlm.config.base import sections
from rnnlm.config.first_format import MOVED, RENAMED
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError

# All keys that the first format had.
FIRST = {
    "data": "train valid test text split grammar sentences unit",
    "vocab": "min_count max_size lowercase file",
    "embedding": "size init file trainable scale window negative epochs",
    "model": "cell activation hidden layers layer_norm init init_scale dropout dropout_input dropout_between "
    "dropout_output variational dropout_words dropout_weights tie output mixture peepholes coupled forget_bias "
    "context context_decay",
    "train": "bptt bptt_every bptt_deviation batch accumulate loss state epochs max_steps optimizer learning_rate "
    "momentum beta1 beta2 epsilon schedule cycles warmup decay min_improvement final_rate clip clip_value "
    "weight_decay gradient_noise average average_decay average_after label_smoothing activation_penalty "
    "temporal_penalty patience seed threads precision checkpoint_every checkpoint_minutes log_every",
}
# A value of each, where 0.5 would not do.
VALUES: dict[str, Any] = {
    "data.sentences": [3, 2, 1],
    "embedding.file": "v.txt",
    "model.activation": "relu",
    "model.init": "xavier",
    **dict.fromkeys(("model.variational", "model.tie", "model.peepholes", "model.coupled"), True),
    **dict.fromkeys(
        ("embedding.window", "embedding.negative", "embedding.epochs", "model.mixture", "model.context"), 2
    ),
    **dict.fromkeys(
        ("train.bptt_every", "train.max_steps", "train.cycles", "train.warmup", "train.average_after"), 2
    ),
    **dict.fromkeys(("train.checkpoint_every", "train.log_every"), 2),
}


def test_every_key_of_the_first_format_is_there_still_or_has_moved() -> None:
    moved = set(MOVED)
    for section, keys in FIRST.items():
        known = set(Config.model_fields[section].annotation.model_fields)  # type: ignore[union-attr]
        old = {f"{section}.{key}" for key in keys.split() if key not in known}
        assert old <= moved
        moved -= old
    assert not moved


@pytest.mark.parametrize("new", MOVED.values())
def test_every_new_key_exists(new: str) -> None:
    section: Any = Config
    types: dict[str, Any] = {}
    for name in new.split("."):
        if types:
            assert any(name in own.model_fields for own in types.values())
            return
        assert name in section.model_fields
        taken = sections(section, name)
        section, types = taken.section, taken.types


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_every_key_that_moved_is_refused_with_what_to_write(old: str, new: str, tmp_path: Path) -> None:
    section, key = old.split(".")
    value = VALUES.get(old, 0.5)
    name, *option = new.split(".")[1:]
    types = sections(sections(Config, section).section, name).types
    having = [kind for kind, own in types.items() if option and option[0] in own.model_fields]
    data = {"grammar": "english"} if section == "data" else {"train": "a", "valid": "b"}
    # As the first format had it: the option beside the name of its kind.
    kind = {"init" if name == "recurrent_init" else name: having[0]} if having else {}
    written = {section: {key: value, **kind}, "data": data} if section != "data" else {"data": {key: value, **data}}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False, default_flow_style=False))
    with pytest.raises(ConfigError) as caught:
        config_file.load(path)
    found = str(caught.value)
    assert re.match(rf".*small.yaml:2:3: {old}: ", found)
    if not option:
        assert found.endswith(f": called {new} now")
        return
    # What the message says to write is right.
    advice = re.fullmatch(r".*: an option of \S+ now: (.*)", found)
    assert advice is not None, found
    told = yaml.safe_load(advice[1])
    if new == "model.dropout.variational":
        told["dropout"]["input"] = 0.5
    resolved: Any = config_file.validate({"data": data, section: {**(data if section == "data" else {}), **told}})
    for step in new.split("."):
        resolved = getattr(resolved, step)
    assert resolved == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  max_steps: 5\n", r"small.yaml:3:3: train.max_steps: called train.max_updates now$"),
        (
            "model:\n  activation: tanh\n",
            r"small.yaml:3:3: model.activation: an option of model.cell now: cell: {type: elman, activation: tanh}$",
        ),
        (
            "train: {optimizer: adamw, beta1: 0.5}\n",
            r"train.beta1: an option of train.optimizer now: optimizer: {type: adamw, beta1: 0.5}$",
        ),
        (
            "train: {optimizer: sgd, momentum: 0.2}\n",
            r"train.momentum: an option of train.optimizer now, which sgd does not have: leave it out$",
        ),
        (
            "train: {cycles: 3}\n",
            r"train.cycles: an option of train.schedule now, which constant does not have: leave it out$",
        ),
        (
            "train: {decay: 0.4, schedule: halve}\n",
            r"train.decay: an option of train.schedule now: schedule: {type: plateau, factor: 0.4}$",
        ),
        ("model: {dropout_words: 0.1}\n", r"an option of model.dropout now: dropout: {words: 0.1}$"),
        ("model: {dropout: 0.3, dropout_input: 0.1}\n", r"now: dropout: {input: 0.1, between: 0.3, output: 0.3}$"),
        (
            "train: {optimizer: {type: adam, beta1: 0.5}, weight_decay: 0.1}\n",
            r"now: optimizer: {type: adam, beta1: 0.5, weight_decay: 0.1}$",
        ),
        ("train: {optimizer: [1], beta1: 0.1}\n", r"now: optimizer: {type: adam, beta1: 0.1}$"),
        ("model: {init: orthogonal}\n", r"model.init: called model.recurrent_init now$"),
        ("train: {checkpoint_every: null}\n", r"now: checkpoint: {every_updates: null}$"),
        ("model: {cell: lstm, coupled: true}\n", r"now: cell: {type: lstm, coupled_gates: true}$"),
        ("train: {schedule: halve}\n", r"small.yaml:2:9: train.schedule: halve is called plateau now$"),
        ("train: {average: none}\n", r"small.yaml:2:9: train.average: none is called null now$"),
    ],
)
def test_the_messages(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text("data: {train: a}\n" + text)
    with pytest.raises(ConfigError, match=message) as caught:
        config_file.load(path)
    assert "\n" not in str(caught.value)


def test_an_override_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text("data: {train: a}\n")
    with pytest.raises(ConfigError, match=r"^--set train.clip=3: train.clip: called train.clip_norm now$"):
        config_file.load(path, ["train.clip=3"])


def test_old_values_have_new_ones() -> None:
    assert set(RENAMED) == {("train.schedule", "halve"), ("train.average", "none")}
