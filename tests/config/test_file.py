"""Reading, overriding and writing a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from every_section import SPOTS, Spot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnlm.config import errors
from rnnlm.config import file as config_file
from rnnlm.config.data import Grammar
from rnnlm.config.embedding import Svd
from rnnlm.config.network import Dropout, Elman, Gru, Lstm
from rnnlm.config.schema import Config
from rnnlm.config.training import Adam, Ema, Sgd
from rnnlm.errors import ConfigError

SMALL = "data: {train: a.txt}\n"


@pytest.fixture
def write(tmp_path: Path):
    def write_and_load(text: str, *overrides: str) -> Config:
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        return config_file.load(path, overrides)

    return write_and_load


def test_paths_that_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"nowhere.yaml: no such file; give a YAML file or one of our recipes \(.*quickstart"
    ):
        config_file.load("nowhere.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        config_file.load(tmp_path)
    (tmp_path / "c.yaml").write_bytes(b"data: \xff")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 7"):
        config_file.load(tmp_path / "c.yaml")


def test_numbers_and_words_are_what_they_look_like(write) -> None:
    found = write(
        "data: {train: no}\nrun: 1990-01-01\n"
        "train: {learning_rate: 1e-3, clip_norm: null, optimizer: {type: adam, epsilon: 1.e-7}}\n"
    )
    assert found.train.learning_rate == 0.001
    assert found.train.optimizer == Adam(epsilon=1e-7)
    assert found.train.clip_norm is None
    assert found.data.train == "no"
    assert found.run == "1990-01-01"


# -- overrides
# -----------------------------------------------------------------------------------------------------------------


def test_overrides(write) -> None:
    found = write(
        SMALL,
        "train.learning_rate=2e-1",
        "model.hidden=7",
        "train.max_updates=null",
        "train.log.every_updates=3",
        "run=x=y",
    )
    assert found.train.learning_rate == 0.2
    assert found.model.hidden == 7
    assert found.train.log.every_updates == 3
    assert found.run == "x=y"
    assert write(SMALL + "train: {epochs: 1}\n", "train.epochs=2", "train.epochs=3").train.epochs == 3


def test_another_type_begins_its_section_anew(write) -> None:
    for override in ("model.cell=lstm", "model.cell.type=lstm", "model.cell={type: lstm}"):
        for text in ("", "model: {cell: gru}\n", "model: {cell: {type: elman, activation: tanh}}\n"):
            assert write(SMALL + text, override).model.cell == Lstm()
    adam = SMALL + "train: {optimizer: {type: adam, beta1: 0.5}}\n"
    assert write(adam, "train.optimizer=sgd").train.optimizer == Sgd()
    assert write(adam, "train.optimizer.type=adam").train.optimizer == Adam(beta1=0.5)


def test_options_of_a_type_come_after_it(write) -> None:
    found = write(SMALL, "model.cell.type=lstm", "model.cell.peepholes=true", "model.cell.coupled_gates=true")
    assert found.model.cell == Lstm(peepholes=True, coupled_gates=True)
    found = write(SMALL, "embedding.init=svd", "embedding.init.window=2", "embedding.init.scale=null")
    assert found.embedding.init == Svd(window=2, scale=None)
    assert write(SMALL, "model.cell=lstm", "model.cell.peepholes=true", "model.cell=gru").model.cell == Gru()


@pytest.mark.parametrize("text", ["", "model: {cell: elman}\n", "model: {cell: {type: elman}}\n", "model:\n"])
def test_a_bare_name_becomes_the_type_of_its_section(write, text: str) -> None:
    assert write(SMALL + text, "model.cell.activation=tanh").model.cell == Elman(activation="tanh")
    assert write("data: {grammar: english}\n", "data.grammar.sentences=[1, 2, 3]").data.grammar == Grammar(
        type="english", sentences=[1, 2, 3]
    )


def test_an_option_of_the_default_type(write) -> None:
    assert write(SMALL, "train.optimizer.weight_decay=0.1").train.optimizer == Sgd(weight_decay=0.1)
    with pytest.raises(
        ConfigError,
        match=r"--set train.optimizer.beta1=0.5: train.optimizer.beta1: unknown key; sgd has weight_decay",
    ):
        write(SMALL, "train.optimizer.beta1=0.5")
    assert write(SMALL, "train.optimizer=adam", "train.optimizer.beta1=0.5").train.optimizer == Adam(beta1=0.5)


def test_what_is_off_is_turned_on_by_its_type(write) -> None:
    assert write(
        SMALL + "train: {average: null}\n", "train.average.type=ema", "train.average.decay=0.5"
    ).train.average == Ema(decay=0.5)
    assert write(SMALL + "train: {average: ema}\n", "train.average=null").train.average is None
    with pytest.raises(ConfigError, match=r"train.average.type: missing; must be 'ema' or 'asgd'"):
        write(SMALL, "train.average.decay=0.5")


def test_a_bare_number_of_dropout_becomes_its_section(write) -> None:
    found = write(SMALL + "model: {dropout: 0.3}\n", "model.dropout.words=0.1", "model.dropout.between=0")
    assert found.model.dropout == Dropout(input=0.3, output=0.3, words=0.1)
    assert write(SMALL + "model: {dropout: {words: 0.3}}\n", "model.dropout=0.2").model.dropout == Dropout(
        input=0.2, between=0.2, output=0.2
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", r"--set epochs: write it as section.key=value"),
        ("=3", r"--set =3: write it as section.key=value"),
        ("train.epoch=3", r"--set train.epoch=3: train.epoch: unknown key; did you mean epochs\?"),
        ("train.epochs=none", r"--set train.epochs=none: train.epochs: found 'none'; must be an integer"),
        ("train.epochs=[", r"--set train.epochs=\[: the value is not YAML"),
        ("train=&a [*a]", r"--set train=&a \[\*a\]:1:1: an alias of itself; write the value out"),
        ("train={epochs: 1, epochs: 2}", r"--set .*:1:13: train.epochs: the key stands here twice; keep one"),
        ("run.there=1", r"--set run.there=1: run is not a section|unknown key"),
        ("data.train.more=1", r"--set data.train.more=1: data.train is not a section"),
        ("train.epochs.more=1", r"--set train.epochs.more=1: train.epochs is not a section"),
        ("train.optimizer.beta1.x=1", r"--set .*: train.optimizer.beta1 is not a section"),
        ("train.optimizer=sgdd", r"--set train.optimizer=sgdd: train.optimizer: found 'sgdd'; must be 'sgd', "),
        ("train.optimizer.type=x", r"--set train.optimizer.type=x: train.optimizer.type: found 'x'; must be 'sgd', "),
        ("train.optimizer={type: adam, beta=1}", r"--set .*: the value is not YAML|unknown key; did you mean beta"),
        ("model.cell.peepholes=3", r"--set model.cell.peepholes=3: model.cell.peepholes: unknown key; elman has"),
        ("model.dropout.words=2", r"--set model.dropout.words=2: model.dropout.words: found 2; must be less than 1"),
    ],
)
def test_overrides_that_are_wrong(write, override: str, message: str) -> None:
    text = "run: here\ntrain: {epochs: 3, optimizer: {type: adam, beta1: 0.5}}\n"
    with pytest.raises(ConfigError, match=message) as caught:
        write(SMALL + text, override)
    assert "\n" not in str(caught.value)


TAGS = [
    *("!!timestamp", "!!bool", "!!int", "!!float", "!!null", "!!str", "!!binary", "!!set", "!!omap", "!!pairs"),
    *("!!map", "!!seq", "!!merge", "!!python/object:os.system", "!own", "!<x>"),
]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("value", ["x", "''", "1", "2001-01-01", "[x]", "{x: 1}", "1" * 6000, "~"])
def test_tags_that_do_not_fit_their_value(write, tag: str, value: str) -> None:
    """PyYAML's own constructors fail inside on some of them."""
    messages = []
    for text, overrides in (
        (f"data: {{train: a}}\nrun: {tag} {value}\n", ()),
        ("data: {train: a}\n", (f"run={tag} {value}",)),
        (f"data: {{train: a}}\n{tag} {value}: 3\n", ()),
    ):
        try:
            write(text, *overrides)
        except ConfigError as error:
            messages.append(str(error) if not overrides else "--set says all of what was typed")
    assert all("\n" not in message and len(message) < 500 for message in messages)


def bomb(levels: int, width: int = 10) -> str:
    """Aliases of aliases: width ** levels values."""
    lines = [f"a0: &a0 [{', '.join('x' * width)}]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]")
    return "\n".join(lines) + "\n"


CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(9), "c.yaml: more than 10,000 values, counting what aliases repeat"),
        (CHAIN, r"c.yaml:1:\d+: nested more than 50 deep; write it flatter"),
        ("a: " + "[" * 100 + "]" * 100, r"c.yaml:1:\d+: nested more than 50 deep; write it flatter"),
        ("a: " + "[" * 5000 + "]" * 5000, r"c.yaml: not YAML: nested more than 50 deep"),
        ("a: " + "{b: " * 5000 + "}" * 5000, r"c.yaml: not YAML: nested more than 50 deep"),
    ],
    ids=["aliases of aliases", "a chain of aliases", "deep", "very deep", "very deep mappings"],
)
def test_more_than_a_configuration_can_have(write, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(text)


def test_numbers_beyond_64_bits(write) -> None:
    for value in (2**63, 10**30, 10**4000):
        with pytest.raises(
            ConfigError, match=r"train.epochs: found a number beyond 64 bits; must be less than 2\^63"
        ):
            write(SMALL + f"train: {{epochs: {value}}}\n")
    with pytest.raises(ConfigError, match=r"line 2: found the number 1{40}\.\.\., which has 6,000 digits"):
        write(SMALL + f"train: {{epochs: {'1' * 6000}}}\n")


# -- writing
# -----------------------------------------------------------------------------------------------------------------


def test_a_configuration_written_and_read_is_the_same(write) -> None:
    found = write(
        "data: {text: é.txt, split: [0.8, 0.2]}\ntrain: {learning_rate: 1e-5, threads: 3, clip_norm: null}\n"
    )
    assert config_file.validate(yaml.safe_load(config_file.dump(found))) == found
    assert write(config_file.dump(found)) == found


@pytest.mark.parametrize("spot", SPOTS, ids=str)
def test_every_type_written_and_read_is_the_same(write, spot: Spot) -> None:
    found = config_file.validate(spot.values())
    assert write(config_file.dump(found)) == found


def test_what_is_written_is_complete_and_has_its_types(write) -> None:
    found = yaml.safe_load(config_file.dump(write(SMALL + "model: {cell: lstm, dropout: 0.1}\n")))
    assert list(found) == list(Config.model_fields)
    assert found["model"]["cell"] == {
        "type": "lstm", "peepholes": False, "coupled_gates": False, "forget_bias": 1.0,
    }  # fmt: skip
    assert found["model"]["dropout"]["between"] == 0.1
    assert found["train"]["optimizer"] == {"type": "sgd", "weight_decay": 0.0}
    assert found["train"]["average"] is None


# What YAML 1.1 or 1.2 takes for something else than a string, and what needs care in writing.
NAMES = st.one_of(
    st.sampled_from(
        ["1e3", "08", "1_000", "1.", ".5", "no", "On", "null", "~", "0x1F", "1:30", "2001-01-01", "<<", "="]
        + ["a: b", "a #b", "- a", "é😀", " a ", "x\ny", "'", '"', "[a]", "{a}", "&a", "*a", "!a", "%a", "@a", "true"]
    ),
    st.from_regex(re.compile(r"[-+.0-9eE_:xno]{1,8}"), fullmatch=True),
    # PyYAML loses a NEL (U+0085) that it wrote itself.
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"]), min_size=1, max_size=20),
)
RATES = st.floats(0, 1e30, exclude_min=True)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    NAMES, NAMES, RATES, st.one_of(st.none(), RATES), st.one_of(st.just("auto"), st.integers(1, 1024)), st.booleans()
)
def test_a_configuration_is_read_as_it_was_written(
    tmp_path: Path, train: str, run: str, rate: float, clip: float | None, threads: Any, lowercase: bool
) -> None:
    written = config_file.validate(
        {
            "data": {"train": train},
            "vocab": {"lowercase": lowercase},
            "embedding": {"init": {"type": "file", "path": run}},
            "train": {"learning_rate": rate, "clip_norm": clip, "threads": threads},
            "run": run,
        }
    )
    path = tmp_path / "c.yaml"
    path.write_text(config_file.dump(written), encoding="utf-8")
    assert config_file.load(path) == written


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modl.hidden=3", r"^--set modl.hidden=3: modl: unknown key; did you mean model\?"),
        ("modl.cell.type=lstm", r"^--set modl.cell.type=lstm: modl: unknown key; did you mean model\?"),
        ("train.shedule.factor=1", r"^--set train.shedule.factor=1: train.shedule: .* mean schedule\?"),
        ("lr=1", r"^--set lr=1: lr: unknown key; did you mean train.learning_rate\?"),
        ("train.lr=1", r"^--set train.lr=1: train.lr: unknown key; did you mean learning_rate\?"),
        ("dropout=0.5", r"did you mean model.dropout\?"),
        ("train.dropout=0.5", r"did you mean model.dropout\?"),
        ("layers=2", r"did you mean model.layers\?"),
        ("hidden-size=3", r"did you mean model.hidden\?"),
        ("model.hidden_size=3", r"did you mean hidden\?"),
        ("train.batch_size=3", r"did you mean batch\?"),
        ("data.vocab_size=3", r"did you mean vocab.max_size\?"),
        ("train.weight_decay=1", r"an option of train.optimizer now"),
        ("train.optimizer.wdecay=1", r"did you mean weight_decay\?"),
        ("train.zzz=1", r"train.zzz: unknown key; rnnlm config show lists all \d+ keys here$"),
        ("train.logs=1", r"train.logs: unknown key; did you mean log\?"),
    ],
)  # fmt: skip
def test_a_misspelt_override_is_named_where_it_stands_with_what_is_meant(write, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        write(SMALL, override)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("meant", errors.SYNONYMS.values())
def test_synonyms_lead_to_keys_that_there_are(meant: str) -> None:
    *above, last = meant.split(".")
    assert any(last in section.model_fields for section in errors._sections_at(above) or [Config] if section)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.train=notes #2.txt", "notes #2.txt"),
        ("data.train='notes #2.txt'", "notes #2.txt"),
        ("data.train=#2", "#2"),
        ("data.train= a b ", "a b"),
        ("data.train='a' # a comment", "a"),
    ],
)
def test_the_value_of_an_override_is_not_cut_at_a_hash(write, override: str, value: str) -> None:
    assert write(SMALL, override).data.train == value


@pytest.mark.parametrize("key", ["data.train", "data.valid", "data.test", "vocab.file", "run"])
def test_a_tilde_is_the_home_folder(write, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    config = write(SMALL, f"{key}=~/x.txt").model_dump()
    for part in key.split("."):
        config = config[part]
    assert config == "/home/someone/x.txt"
