"""Runs that start from a model: rows by token, new words, what is refused, and nothing of the source to go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_runs import assert_same_run, log_of, records, sha256, stopped_run

from rnnlm.config import file as config_file
from rnnlm.config import fingerprint
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, InputError, ModelError
from rnnlm.files import model_file
from rnnlm.files.model_file import Trained
from rnnlm.network import build
from rnnlm.network.parameters import unflatten
from rnnlm.network.scoring import mean_loss
from rnnlm.text import corpus, vocabulary
from rnnlm.training.from_model import parameters, read
from rnnlm.training.loop import train
from rnnlm.training.records import Valid
from rnnlm.work import Note, run_to_end

LAYERS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "softmax, tied and projected": {"tie_weights": True, "cell": "lstm", "layer_norm": True},
    "mixture": {"output": "mixture", "layers": 2},
    "mixture, tied": {"output": "mixture", "tie_weights": True},
}
ADAPTIVE = {"output": {"type": "adaptive", "cutoffs": [4, 7]}}
# The axis of tokens of each parameter that has one.
TOKENS = {"embedding.table": 0, "output.U": 1, "output.b2": 0}


def source_of(make_config: Any, model: dict[str, Any] | None = None, **keys: Any) -> tuple[Config, Trained]:
    """A trained model, and its configuration."""
    config = make_config(model, **({"epochs": 1, "state": "reset"} | keys))
    list(train(config))
    return config, model_file.load(config.run)


def starting(config: Config, source: Config, **values: Any) -> Config:
    """The configuration with ``train.from``; values: by dotted key."""
    plain = config.model_dump() | {"run": f"{config.run}-tuned"}
    for key, value in {"train.from": source.run, **values}.items():
        section, name = key.split(".")
        plain[section][name] = value
    return config_file.validate(plain)


def with_words(config: Config, *words: str) -> None:
    """Another training text, with these words at the end of its lines."""
    path = Path(str(config.data.train))
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{line} {words[i % len(words)]}\n" for i, line in enumerate(lines)))


def by_token(trained: Trained, name: str, tokens: Any) -> np.ndarray:
    """The rows of a parameter for some tokens."""
    ids = [trained.vocabulary.tokens.index(token) for token in tokens]
    return np.take(trained.parameters[name], ids, TOKENS[name])


def before_training(config: Config, words: vocabulary.Vocabulary) -> dict[str, np.ndarray]:
    """The weights that a run starts from."""
    model = read(config, words)
    assert model is not None
    tree = parameters(config, model)
    return {f"{part}.{name}": value for part in ("embedding", "output") for name, value in tree[part].items()}  # type: ignore[literal-required]


@pytest.mark.parametrize("model", [*LAYERS.values(), ADAPTIVE], ids=[*LAYERS, "adaptive"])
def test_the_first_validation_is_that_of_the_model(make_config: Any, model: dict[str, Any]) -> None:
    source, _ = source_of(make_config, model)
    before = records(starting(source, source), Valid)[0]
    assert (before.updates, before.perplexity) == (0, log_of(source)[-1]["best_perplexity"])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", LAYERS.values(), ids=LAYERS)
def test_rows_are_matched_by_token(make_config: Any, tmp_path: Path, model: dict[str, Any], precision: str) -> None:
    source, trained = source_of(make_config, model, precision=precision)
    order = np.random.default_rng(1).permutation(len(trained.vocabulary))
    tokens = [trained.vocabulary.tokens[i] for i in order]
    words = vocabulary.Vocabulary(tokens, trained.vocabulary.counts[order], "word", False)
    config = starting(source, source)
    found = read(config, words)
    assert found is not None
    assert (found.source.matched, found.source.new, found.source.left_out) == (len(tokens), 0, 0)
    tree = parameters(config, found)
    assert (tree["embedding"]["table"] == trained.parameters["embedding.table"][order]).all()
    assert (tree["output"]["b2"] == trained.parameters["output.b2"][order]).all()
    if not model.get("tie_weights"):
        assert (tree["output"]["U"] == trained.parameters["output.U"][:, order]).all()
    assert (tree["cells"][0]["I"] == trained.parameters["cell.0.I"]).all()
    losses = []
    for own, weights in ((trained.vocabulary, unflatten(trained.parameters)), (words, tree)):
        (folder := tmp_path / str(len(losses))).mkdir()
        text = run_to_end(corpus.read(str(source.data.valid), own, folder))
        losses.append(mean_loss(build.build(config, weights), text, "reset"))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6 if precision == "float32" else 1e-13)


def test_new_words_start_beside_the_unknown_one(make_config: Any) -> None:
    source, trained = source_of(make_config)
    new = [f"new{i}" for i in range(60)]
    words = vocabulary.Vocabulary(
        [*reversed(trained.vocabulary.tokens), *new], [1] * (len(trained.vocabulary) + 60), "word", False
    )
    found = before_training(starting(source, source), words)
    again = before_training(starting(source, source), words)
    other = before_training(starting(source, source, **{"train.seed": 2}), words)
    n = len(trained.vocabulary)
    for name, axis in TOKENS.items():
        value, was = (np.moveaxis(x, axis, 0) for x in (found[name], trained.parameters[name]))
        assert (value[:n] == was[::-1]).all()
        noise = value[n:] - was[trained.vocabulary.unk]
        assert 0.5 < noise.std() / (0.1 * was.std()) < 1.5
        assert abs(noise.mean()) < 0.5 * noise.std()
        assert found[name].tobytes() == again[name].tobytes()
        assert (np.moveaxis(other[name], axis, 0)[n:] != value[n:]).all()


def test_words_that_come_and_go_are_said(make_config: Any) -> None:
    source, trained = source_of(make_config)
    path = Path(str(source.data.train))
    path.write_text(path.read_text().replace("runs", "swims"))
    config = starting(source, source, **{"train.learning_rate": 1e-300})
    said = [note.text for note in records(config, Note)]
    n = len(trained.vocabulary)
    assert (
        f"{trained.path}: gives the weights, those of {n - 1} of the {n} tokens; 1 new ones start from <unk>" in said
    )
    (left,) = [text for text in said if "left out" in text]
    assert f"{trained.path}: 1 of its {n} tokens are not in this vocabulary and are left out; vocab.file" in left
    ended = model_file.load(config.run)
    assert ended.vocabulary.id("runs") is None
    stayed = [token for token in trained.vocabulary.tokens if token != "runs"]
    for name in TOKENS:
        assert (by_token(ended, name, stayed) == by_token(trained, name, stayed)).all()


def test_its_vocabulary_can_be_kept(make_config: Any) -> None:
    source, trained = source_of(make_config)
    path = Path(str(source.data.train))
    path.write_text(path.read_text().replace("runs", "swims"))
    config = starting(source, source, **{"vocab.file": f"{source.run}/vocab.txt"})
    assert not [note.text for note in records(config, Note) if "left out" in note.text]
    assert model_file.load(config.run).vocabulary.tokens == trained.vocabulary.tokens


def test_vectors_are_for_new_words_alone(make_config: Any, tmp_path: Path) -> None:
    source, trained = source_of(make_config)
    with_words(source, "fish", "horse")
    (tmp_path / "v.txt").write_text("3 6\nfish 1 2 3 4 5 6\nhorse 6 5 4 3 2 1\nthe 9 9 9 9 9 9\n")
    init = {"type": "file", "path": str(tmp_path / "v.txt"), "scale": None}
    config = starting(source, source, **{"embedding.init": init, "train.learning_rate": 1e-300})
    list(train(config))
    ended = model_file.load(config.run)
    assert by_token(ended, "embedding.table", ["fish", "horse"]).tolist() == [[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]]
    tokens = trained.vocabulary.tokens
    assert (by_token(ended, "embedding.table", tokens) == by_token(trained, "embedding.table", tokens)).all()


def test_the_run_keeps_the_hash_of_its_model_and_nothing_else_of_it(make_config: Any) -> None:
    """Two runs end the same, one of them stopped twice and without the model from then on."""
    source, _ = source_of(make_config)
    assert "source" not in model_file.load(source.run).training
    assert json.loads(Path(source.run, "log.jsonl").read_text().splitlines()[0])["source"] is None
    with_words(source, "fish")
    whole = starting(source, source, **{"train.epochs": 3, "train.optimizer": "adam", "train.learning_rate": 0.01})
    stopped = whole.model_copy(update={"run": f"{whole.run}-stopped"})
    list(train(whole))
    kept = {"sha256": sha256(source), "matched": 12, "new": 1, "left_out": 0}
    assert log_of(whole)[0]["source"] == kept
    assert list(train(stopped, stop=lambda: True))[-1].reason == "interrupted"
    shutil.rmtree(source.run)
    assert_same_run(whole, stopped_run(stopped, (6,)))
    assert model_file.load(stopped.run).training["source"] == kept


def test_a_model_that_is_not_beaten_stays_the_best(make_config: Any) -> None:
    source, trained = source_of(make_config, epochs=4)
    config = starting(source, source, **{"train.learning_rate": 50.0, "train.clip_norm": None})
    assert [record.best for record in records(config, Valid)] == [True, False, False, False]
    for name, value in model_file.load(config.run).parameters.items():
        assert value.tobytes() == trained.parameters[name].tobytes()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.hidden", 9, r"has model.hidden: \[8\], the configuration \[9\]"),
        ("model.layers", 2, r"has model.hidden: \[8\], the configuration \[8, 8\]"),
        ("model.cell", "gru", "has model.cell.type: elman, the configuration gru"),
        ("model.cell", "elman", "has model.cell.activation: tanh, the configuration sigmoid"),
        ("model.output", "mixture", "has model.output.type: softmax, the configuration mixture"),
        ("model.tie_weights", True, "has model.tie_weights: false, the configuration true"),
        ("model.layer_norm", True, "has model.layer_norm: false, the configuration true"),
        ("embedding.size", 7, "has embedding.size: 6, the configuration 7"),
        ("data.unit", "char", "has data.unit: word, the configuration char"),
    ],
)
def test_another_architecture(make_config: Any, key: str, value: Any, message: str) -> None:
    source, trained = source_of(make_config, max_updates=1)
    config = starting(source, source, **{key: value})
    with pytest.raises(ConfigError, match=f"^train.from: {trained.path} {message}; a run starts from a model of the"):
        list(train(config))
    assert not Path(config.run).exists() or not list(Path(config.run).glob("*.*"))


def test_what_differs_without_being_another_architecture(make_config: Any) -> None:
    source, _ = source_of(make_config, {"dropout": 0.1}, max_updates=1)
    config = starting(
        source, source, **{"model.dropout": 0.0, "model.hidden": [8], "train.precision": "float64", "train.seed": 3}
    )
    list(train(config))
    assert model_file.load(config.run).parameters["output.U"].dtype == np.float64


def test_the_classes_of_a_file_are_those_of_the_model(make_config: Any, tmp_path: Path) -> None:
    """Whatever the file says now, and wherever it lies."""
    words = run_to_end(vocabulary.build(make_config().data.train, "word", False, 1, None)).tokens
    file, other = tmp_path / "classes.txt", tmp_path / "other.txt"
    for path, shift in ((file, 0), (other, 1)):
        path.write_text("".join(f"{word}\t{(i + shift * (i > 3)) % 3}\n" for i, word in enumerate(words)))
    output = {"type": "classes", "classes": 3, "by": {"type": "file", "path": str(file)}}
    source, trained = source_of(make_config, {"output": output}, max_updates=1)
    output = {**output, "by": {"type": "file", "path": str(other)}}
    config = starting(source, source, **{"model.output": output})
    list(train(config))
    found = model_file.load(config.run)
    np.testing.assert_array_equal(found.vocabulary.classes, trained.vocabulary.classes)


def test_models_that_are_refused(make_config: Any, tmp_path: Path) -> None:
    source, trained = source_of(make_config, ADAPTIVE, max_updates=1)
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nothing"):
        with pytest.raises(ModelError, match=f"^train.from: {path}"):
            list(train(starting(source, source, **{"train.from": str(path)})))
    own = starting(source, source, **{"train.from": str(trained.path)}).model_copy(update={"run": source.run})
    with pytest.raises(ConfigError, match=r"^train.from: .* is in the folder of this run; take another folder"):
        list(train(own, restart=True))
    assert trained.path.exists()
    with_words(source, "fish")
    with pytest.raises(
        InputError, match=r"weights of model.output: adaptive go with their own vocabulary; set vocab"
    ):
        list(train(starting(source, source)))
    kept = starting(source, source, **{"vocab.file": f"{source.run}/vocab.txt"})
    assert records(kept, Valid)[0].updates == 0


def test_a_relative_path_counts_from_where_the_command_is_run(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = source_of(make_config, max_updates=1)
    monkeypatch.chdir(tmp_path)
    config = starting(source, source, **{"train.from": Path(source.run).name})
    list(train(config))
    assert config_file.load(Path(config.run) / "config.yaml").train.source == source.run


def test_the_fingerprint_of_older_configurations_stays(make_config: Any) -> None:
    config = config_file.validate({"data": {"train": "a", "valid": "b"}})
    assert fingerprint.sha256(config) == FINGERPRINT
    assert fingerprint.sha256(starting(config, config)) != FINGERPRINT
    assert (
        fingerprint.sha256(starting(config, config, **{"train.from": None, "train.freeze": ["cell"]})) != FINGERPRINT
    )


# Of the defaults, before there was `train.from`.
FINGERPRINT = "633de1c85af4039d52bc7bff19955cf3dbb12903bb8227729eb7802393dc10f5"
