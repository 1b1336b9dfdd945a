"""The configuration: every mistake has its line, and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import yaml

from rnnlm import vectors
from rnnlm.config import file as config_file
from rnnlm.config import recipes as resources
from rnnlm.config.schema import Config, Embedding, Model, Section, Train
from rnnlm.errors import ConfigError
from rnnlm.network.cells import CELLS
from rnnlm.network.cells.elman import _CODES as ACTIVATIONS
from rnnlm.network.outputs import OUTPUTS
from rnnlm.training.optimizers import optimizer as optim

SMALL = "data: {train: a.txt}\n"


@pytest.fixture
def write(tmp_path: Path):
    def write_and_load(text: str, *overrides: str) -> Config:
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        return config_file.load(path, overrides)

    return write_and_load


MISTAKES = [
    ("train: {learing_rate: 1}\n", r"c.yaml:2:9: train.learing_rate: unknown key; did you mean learning_rate\?"),
    ("trian: {epochs: 1}\n", r"c.yaml:2:1: trian: unknown key; did you mean train\?"),
    ("model: {size_of_it: 1}\n", r"model.size_of_it: unknown key; the keys here are cell, activation, hidden"),
    ("train:\n  epochs: 0\n", r"c.yaml:3:3: train.epochs: found 0; must be greater than or equal to 1"),
    ("train:\n  batch: 2.5\n", r"c.yaml:3:3: train.batch: found 2.5; must be an integer"),
    ("train:\n  batch: many\n", r"c.yaml:3:3: train.batch: found 'many'; must be an integer"),
    ("train: {learning_rate: -1}\n", r"train.learning_rate: found -1; must be greater than 0"),
    ("train: {learning_rate: .nan}\n", r"train.learning_rate: found nan; must be a finite number"),
    ("train: {threads: 0}\n", r"train.threads: found 0; must be greater than or equal to 1"),
    ("model: {dropout: 1.0}\n", r"model.dropout: found 1.0; must be less than 1"),
    ("model: {cell: elmann}\n", r"c.yaml:2:9: model.cell: found 'elmann'; must be 'elman'"),
    ("model: {activation: no}\n", r"model.activation: found 'no'; must be 'sigmoid', 'tanh' or 'relu'"),
    ("model: {cell: lstm, context: 9}\n", r"model: context goes with cell: scrn; found context: 9, cell: lstm"),
    (
        "model: {cell: scrn, hidden: [50, 40]}\n",
        r"model: context must be less than hidden of every layer; found context: 40, hidden: 40",
    ),
    ("train: {bptt: 5, bptt_every: 6}\n", r"c.yaml:2:1: train: bptt_every must be at most bptt \(5\); found 6"),
    ("embedding: {init: file}\n", r"c.yaml:2:1: embedding: init: file needs the key file"),
    ("embedding: {file: x}\n", r"embedding: file goes with init: file; found init: uniform"),
    ("model: {tie: true}\nembedding: {trainable: false}\n", r"model.tie needs embedding.trainable: true"),
    ("model: {mixture: 3}\n", r"model: mixture goes with output: mixture; found mixture: 3, output: softmax"),
    ("model: {output: mixture, mixture: 0}\n", r"model.mixture: found 0; must be greater than or equal to 1"),
    ("model: {output: mixture}\ntrain: {label_smoothing: 0.1}\n",
     r"train.label_smoothing goes with model.output: softmax; found model.output: mixture"),
    ("train:\n  epochs: 1\n  epochs: 2\n", r"c.yaml:4:3: train.epochs: the key stands here twice; keep one"),
    ("train: 5\n", r"c.yaml:2:1: train: found 5; must be a section of key: value lines"),
    ("train: [1, 2]\n", r"train: found the list \[1, 2\]; must be a section"),
    ("run: [\n", r"c.yaml:3:1: not YAML"),
    ("data: {text: b.txt}\n", r"c.yaml:2:1: data: the key stands here twice"),
    ("? {a: 1}\n: 2\n", r"a key must be a plain word"),
    ("train: !foo x\n", r"line 2: found the tag !foo; plain words and numbers only"),
    ("train: &a [*a]\n", r"c.yaml:2:8: an alias of itself; write the value out"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes(write, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        write(SMALL + text)
    assert "\n" not in str(caught.value)


WHOLE = [
    ("", r"c.yaml: empty; a configuration needs at least the section data"),
    ("- a\n", r"c.yaml:1:1: found the list \['a'\]; a configuration is a mapping of sections"),
    ("model: {}\n", r"data: missing; the section data says which text to train on"),
    ("data: {}\n", r"data: give exactly one of train, text and grammar; found none of them"),
    ("data: {train: a, text: b}\n", r"exactly one of train, text and grammar; found train and text"),
    ("data: {grammar: english, test: b}\n", r"valid and test go with train, not with grammar"),
    ("data: {text: a, split: [0.5, 0.4]}\n", r"the shares of split must add up to 1; found 0.9"),
    ("data: {text: a, split: [0, 1]}\n", r"the first share of split, the training text, must be more than 0"),
    ("data: {text: a, split: [1]}\n", r"data.split: found the list \[1\]; .*at least 2 items"),
    ("data: {text: a, split: [0.5, x]}\n", r"c.yaml:1:17: data.split: found 'x'; must be a number"),
    (
        "data: {grammar: english, sentences: [10, 0, 1]}\n",
        r"data.sentences: found 0; must be greater than or equal to 1",
    ),
]


@pytest.mark.parametrize(("text", "message"), WHOLE)
def test_files_that_are_no_configuration(write, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(text)


def test_paths_that_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"nowhere.yaml: no such file; give a YAML file or one of our recipes \(.*quickstart"
    ):
        config_file.load("nowhere.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        config_file.load(tmp_path)
    (tmp_path / "c.yaml").write_bytes(b"data: \xff")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 6"):
        config_file.load(tmp_path / "c.yaml")


def test_numbers_and_words_are_what_they_look_like(write) -> None:
    found = write("data: {train: no}\ntrain: {learning_rate: 1e-3, clip: null, epsilon: 1.e-7}\nrun: 1990-01-01\n")
    assert found.train.learning_rate == 0.001
    assert found.train.epsilon == 1e-7
    assert found.train.clip is None
    assert found.data.train == "no"
    assert found.run == "1990-01-01"


def test_tied_weights_of_another_size_are_projected(write) -> None:
    assert write(SMALL + "model: {tie: true, hidden: 5}\n").model.tie


def test_overrides(write) -> None:
    found = write(
        SMALL,
        "train.learning_rate=2e-1",
        "model.hidden=7",
        "train.max_steps=null",
        "data.sentences=[1, 2, 3]",
        "run=x=y",
    )
    assert found.train.learning_rate == 0.2
    assert found.model.hidden == 7
    assert found.data.sentences == [1, 2, 3]
    assert found.run == "x=y"
    assert write(SMALL + "train: {epochs: 1}\n", "train.epochs=2", "train.epochs=3").train.epochs == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", r"--set epochs: write it as section.key=value"),
        ("=3", r"--set =3: write it as section.key=value"),
        ("train.epoch=3", r"--set train.epoch=3: train.epoch: unknown key; did you mean epochs\?"),
        ("train.epochs=none", r"--set train.epochs=none: train.epochs: found 'none'; must be an integer"),
        ("train.epochs=[", r"--set train.epochs=\[: the value is not YAML"),
        ("run.there=1", r"--set run.there=1: run is not a section|unknown key"),
        ("data.train.more=1", r"--set data.train.more=1: data.train is not a section"),
    ],
)
def test_overrides_that_are_wrong(write, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(SMALL + "run: here\n", override)


@pytest.mark.parametrize("name", resources.names("configs", ".yaml"))
def test_every_recipe_loads_and_says_what_it_is(name: str) -> None:
    path = resources.folder("configs") / f"{name}.yaml"
    assert config_file.load(name) == config_file.load(path)
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_a_configuration_written_and_read_is_the_same(write) -> None:
    found = write("data: {text: é.txt, split: [0.8, 0.2]}\ntrain: {learning_rate: 1e-5, threads: 3, clip: null}\n")
    assert config_file.validate(yaml.safe_load(config_file.dump(found))) == found
    assert write(config_file.dump(found)) == found


def sections() -> list[type[Section]]:
    return [field.annotation for field in Config.model_fields.values() if isinstance(field.annotation, type)
            and issubclass(field.annotation, Section)]  # fmt: skip


@pytest.mark.parametrize("section", sections())
def test_every_key_has_a_description(section: type[Section]) -> None:
    assert section.__doc__
    assert all(field.description for field in section.model_fields.values())


def test_the_schema_can_be_exported() -> None:
    assert Config.model_json_schema()["properties"]["train"]


def test_the_names_in_the_schema_are_those_in_the_registries() -> None:
    def names(section: type[Section], key: str) -> set[str]:
        return set(get_args(section.model_fields[key].annotation))

    assert names(Model, "cell") == set(CELLS)
    assert names(Model, "output") == set(OUTPUTS)
    assert names(Model, "activation") == set(ACTIVATIONS)
    assert names(Embedding, "init") == set(vectors.INITS)
    assert names(Train, "optimizer") == set(optim.RULES)
