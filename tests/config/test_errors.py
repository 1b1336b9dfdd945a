"""The messages: every mistake has its line, its key, what was found and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from every_section import EVERY_KEY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError

SMALL = "data: {train: a.txt}\n"


def load(folder: Path, text: str) -> Config:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return config_file.load(path)


MISTAKES = [
    ("train: {learing_rate: 1}\n", r"c.yaml:2:9: train.learing_rate: unknown key; did you mean learning_rate\?"),
    ("trian: {epochs: 1}\n", r"c.yaml:2:1: trian: unknown key; did you mean train\?"),
    ("model: {size_of_it: 1}\n", r"model.size_of_it: unknown key; the keys here are cell, hidden, layers"),
    ("train:\n  epochs: 0\n", r"c.yaml:3:3: train.epochs: found 0; must be greater than or equal to 1"),
    ("train:\n  batch: 2.5\n", r"c.yaml:3:3: train.batch: found 2.5; must be an integer"),
    ("train:\n  batch: many\n", r"c.yaml:3:3: train.batch: found 'many'; must be an integer"),
    ("train:\n  patience: 2\n", r"c.yaml:3:3: train.patience: 2 counts validations; give a validation text, or null"),
    ('"tr\\nain": {epochs: 1}\n', r"c.yaml:2:1: tr\\nain: unknown key; did you mean train\?"),
    ("train: {learning_rate: -1}\n", r"train.learning_rate: found -1; must be greater than 0"),
    ("train: {learning_rate: .nan}\n", r"train.learning_rate: found nan; must be a finite number"),
    ("train: {threads: 0}\n", r"train.threads: found 0; must be greater than or equal to 1"),
    ("model: {dropout: 1.0}\n", r"c.yaml:2:9: model.dropout: found 1.0; must be less than 1"),
    ("model: {dropout: true}\n", r"c.yaml:2:9: model.dropout: found true; this key takes another kind of value"),
    ("model: {dropout: much}\n", r"model.dropout: found 'much'; must be a number, or a section of key: value lines"),
    ("model:\n  dropout:\n    words: 2\n", r"c.yaml:4:5: model.dropout.words: found 2; must be less than 1"),
    ("model: {dropout: {weights: 0}}\n", r"c.yaml:2:19: model.dropout.weights: unknown key; the keys here are"),
    ("model: {cell: elmann}\n", r"c.yaml:2:9: model.cell: found 'elmann'; must be 'elman', 'gru', .* or 'scrn'$"),
    ("model: {cell: {type: elmann}}\n", r"c.yaml:2:16: model.cell.type: found 'elmann'; must be 'elman', "),
    ("model: {cell: {type: [1]}}\n", r"c.yaml:2:16: model.cell.type: found the list \[1\]; must be 'elman', "),
    ("model: {cell: {activation: tanh}}\n", r"c.yaml:2:9: model.cell.type: missing; must be 'elman', 'gru'"),
    ("model: {cell: null}\n", r"model.cell: found nothing; must be 'elman', .* or 'scrn', or a section with a type$"),
    ("model: {cell: {type: elman, activation: no}}\n",
     r"c.yaml:2:29: model.cell.activation: found 'no'; must be 'sigmoid', 'tanh' or 'relu'"),
    ("model: {cell: {type: lstm, context: 9}}\n",
     r"c.yaml:2:28: model.cell.context: unknown key; lstm has peepholes, coupled_gates, forget_bias$"),
    ("model: {cell: {type: lstm, peephole: true}}\n", r"model.cell.peephole: unknown key; did you mean peepholes\?"),
    ("model: {cell: {type: gru, peepholes: true}}\n", r"model.cell.peepholes: unknown key; gru has no options$"),
    ("model: {cell: scrn, hidden: [50, 40]}\n",
     r"model: cell.context must be less than hidden of every layer; found context: 40, hidden: 40"),
    ("train: {optimizer: {type: sgd, momentum: 0.2}}\n",
     r"c.yaml:2:32: train.optimizer.momentum: unknown key; sgd has weight_decay$"),
    ("train: {schedule: {type: linear, cycles: 3}}\n",
     r"c.yaml:2:34: train.schedule.cycles: unknown key; linear has final_rate, warmup_updates$"),
    ("train: {optimizer: {type: adam, beta1: 1}}\n", r"c.yaml:2:33: train.optimizer.beta1: found 1; must be less"),
    ("train: {average: {type: ema, decay: x}}\n", r"c.yaml:2:30: train.average.decay: found 'x'; must be a number"),
    ("train: {checkpoint: {keep: -1}}\n", r"c.yaml:2:22: train.checkpoint.keep: found -1; must be greater than"),
    ("train: {validate: {every_updates: 0}}\n", r"train.validate.every_updates: found 0; must be greater than or eq"),
    ("train: {log: {to: csv}}\n", r"c.yaml:2:15: train.log.to: found 'csv'; must be a list"),
    ("train: {log: {to: [csv, wandb]}}\n", r"train.log.to: found 'wandb'; must be 'jsonl', 'csv' or 'tensorboard'"),
    ("train: {sample: {every_updates: 0}}\n", r"train.sample.every_updates: found 0; must be greater than or equal"),
    ("train: {sample: {every: 5}}\n", r"train.sample.every: unknown key"),
    ("train: {sample: {prompt: 5}}\n", r"train.sample.prompt: found 5; must be a string"),
    ("train: {validate: {every_updates: 5}}\n",
     r"c.yaml:2:20: train.validate.every_updates validates; give a validation text"),
    ("train: {max_minutes: 0}\n", r"train.max_minutes: found 0; must be greater than 0"),
    ("train: {checkpoint: 5}\n", r"train.checkpoint: found 5; must be a section of key: value lines"),
    ("train: {bptt: 5, bptt_stride: 6}\n", r"c.yaml:2:18: train: bptt_stride must be at most bptt \(5\); found 6"),
    ("embedding: {init: file}\n", r"c.yaml:2:13: embedding.init.path: missing; word vectors \(word2vec text"),
    ("embedding: {init: {type: uniform, path: x}}\n", r"embedding.init.path: unknown key; uniform has scale$"),
    ("model: {tie_weights: true}\nembedding: {trainable: false}\n",
     r"c.yaml:2:9: model.tie_weights needs embedding.trainable: true"),
    ("model: {output: {type: softmax, softmaxes: 3}}\n",
     r"model.output.softmaxes: unknown key; softmax has variance_regularization"),
    ("model: {output: {type: mixture, softmaxes: 0}}\n",
     r"model.output.softmaxes: found 0; must be greater than or equal to 1"),
    ("model: {output: {type: adaptive, cutoffs: [20, 10]}}\n",
     r"model.output.cutoffs: each cutoff must be more than the one before it; found \[20, 10\]"),
    ("model: {output: {type: adaptive, cutoffs: []}}\n", r"model.output.cutoffs: "),
    ("model: {output: {type: adaptive, factor: 0.5}}\n", r"model.output.factor: found 0.5; must be greater than"),
    ("model: {output: {type: classes, classes: 0}}\n",
     r"model.output.classes: found 0; must be greater than or equal to 1"),
    ("model: {output: {type: classes, by: {type: file}}}\n",
     r"model.output.by.path: missing; the class of each token"),
    ("model: {output: {type: classes, by: brown}}\n", r"model.output.by: "),
    ("model: {output: classes, tie_weights: true}\n",
     r"tie_weights goes with output: softmax, adaptive, direct, mixture or sampled; found output: classes"),
    ("model: {output: adaptive}\ntrain: {penalties: {label_smoothing: 0.1}}\n",
     r"penalties.label_smoothing goes with model.output: softmax; found model.output: adaptive"),
    ("model: {output: mixture}\ntrain: {penalties: {label_smoothing: 0.1}}\n",
     r"c.yaml:3:21: train.penalties.label_smoothing goes with model.output: softmax; found model.output: mixture"),
    ("train:\n  epochs: 1\n  epochs: 2\n", r"c.yaml:4:3: train.epochs: the key stands here twice; keep one"),
    ("train: 5\n", r"c.yaml:2:1: train: found 5; must be a section of key: value lines"),
    ("train: [1, 2]\n", r"train: found the list \[1, 2\]; must be a section"),
    ("run: [\n", r"c.yaml:3:1: not YAML"),
    ("\trun: a\n", r"c.yaml:2:1: not YAML: .*; indent by spaces, not by tabs"),
    ("data: {text: b.txt}\n", r"c.yaml:2:1: data: the key stands here twice"),
    ("? {a: 1}\n: 2\n", r"a key must be a plain word"),
    ("train: !foo x\n", r"line 2: found the tag !foo; plain words and numbers only"),
    ("train: &a [*a]\n", r"c.yaml:2:8: an alias of itself; write the value out"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, SMALL + text)
    assert "\n" not in str(caught.value)


WHOLE = [
    ("", r"c.yaml: empty; a configuration needs at least the section data"),
    ("- a\n", r"c.yaml:1:1: found the list \['a'\]; must be a mapping of keys \(data, model, ...\)"),
    ("model: {}\n", r"data: missing; the section data says which text to train on"),
    ("data: {}\n", r"data: give exactly one of train, text and grammar; found none of them"),
    ("data: {train: a, text: b}\n", r"exactly one of train, text and grammar; found train and text"),
    ("data: {grammar: english, test: b}\n", r"valid and test go with train, not with grammar"),
    ("data: {text: a, split: [0.5, 0.4]}\n", r"the shares of split must add up to 1; found 0.9"),
    ("data: {text: a, split: [0, 1]}\n", r"the first share of split, the training text, must be more than 0"),
    ("data: {text: a, split: [1]}\n", r"data.split: found the list \[1\]; .*at least 2 items"),
    ("data: {text: a, split: [0.5, x]}\n", r"c.yaml:1:17: data.split: found 'x'; must be a number"),
    ("data: {train: a, split: [0.5, 0.5]}\n", r"data: split goes with text, not with train"),
    (
        "data: {grammar: [1]}\n",
        r"data.grammar: found the list \[1\]; must be a name, or a section of key: value lines",
    ),
    ("data: {grammar: {sentences: [1, 1, 1]}}\n", r"c.yaml:1:8: data.grammar.type: missing; the name of a built-in"),
    (
        "data: {grammar: {type: english, sentences: [10, 0, 1]}}\n",
        r"c.yaml:1:33: data.grammar.sentences: found 0; must be greater than or equal to 1",
    ),
]


@pytest.mark.parametrize(("text", "message"), WHOLE)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


TAGGED = ["run: !!int abc\n", "run: !!float x\n", "run: !ours x\n"]


@pytest.mark.parametrize("text", TAGGED)
def test_what_yaml_itself_cannot_make_sense_of(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"c.yaml: line 2: found the tag .*; plain words and numbers only"
    ) as caught:
        load(tmp_path, SMALL + text)
    assert len(str(caught.value)) < 300


def refusal(read: Callable[..., Config], *arguments: Any) -> str | None:
    """The message of the error; None without one."""
    try:
        read(*arguments)
    except ConfigError as error:
        return str(error)
    return None


WHOLE_TEXT = config_file.dump(config_file.load("ptb-lstm"))
PIECES = [
    "",
    "x",
    "0",
    "-1",
    "null",
    "true",
    "[]",
    "{}",
    "[1, x]",
    "{type: lstm}",
    "{a: 1}",
    ":",
    "\n",
    "  ",
    "'",
    "&a",
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(WHOLE_TEXT)), st.integers(0, 30), st.sampled_from(PIECES)), max_size=3))
def test_a_broken_text_is_read_or_refused_in_one_line(tmp_path: Path, cuts: list[tuple[int, int, str]]) -> None:
    text = WHOLE_TEXT
    for start, length, piece in cuts:
        text = text[:start] + piece + text[start + length :]
    message = refusal(load, tmp_path, text)
    assert message is None or (message.startswith(f"{tmp_path}/c.yaml:") and "\n" not in message)


# Values of the wrong kind in the place of every key.
ODD = [None, True, -1, 0.5, "x", [], [None], {}, {"type": None}, {"type": "x"}, {"type": ["x"]}, {"x": {"y": 1}}]


@pytest.mark.parametrize("value", ODD, ids=str)
def test_odd_values_anywhere_are_read_or_refused_in_one_line(value: object) -> None:
    for spot, key in EVERY_KEY:
        message = refusal(config_file.validate, spot.values(**{key: value}))
        assert message is None or (message.startswith("configuration: ") and "\n" not in message)
