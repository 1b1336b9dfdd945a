"""The loop: what an update is, what a run yields, and what ends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from training_runs import WORDS, records, start_weights

from rnnlm.files import model_file
from rnnlm.training.loop import train
from rnnlm.training.records import Checkpoint, End, Start, Updates, Valid


@pytest.mark.parametrize("loss", ["every", "last"])
@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize(("bptt", "stride"), [(5, 5), (5, 2), (5, 1), (3, 2)])
def test_the_updates_are_those_of_a_plain_loop(
    make_config: Any, loss: str, state: str, bptt: int, stride: int
) -> None:
    """Two passes of sgd against the oracle's gradients, windows cut by hand."""
    config = make_config(
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


def test_records_and_log(make_config: Any) -> None:
    config = make_config()
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
    assert {line["event"] for line in lines} == {"start", "updates", "valid", "checkpoint", "end"}
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


def test_training_learns(make_config: Any) -> None:
    """Words follow their line's first word: a network that learns gets far below the unigram perplexity."""
    config = make_config(epochs=30, optimizer="adam", learning_rate=0.01, patience=None)
    text = "".join(f"{word} {word} {word} {word}\n" for word in WORDS * 12)
    Path(str(config.data.train)).write_text(text)
    Path(str(config.data.valid)).write_text("".join(f"{word} {word} {word} {word}\n" for word in WORDS))
    assert records(config, End)[0].best_perplexity < 2


def test_early_stopping_and_the_best_model(make_config: Any) -> None:
    """A learning rate that is far too high: the first epochs are the best, and the best model is kept."""
    config = make_config(epochs=40, learning_rate=0.3, optimizer="adam", patience=2)
    valids = records(config, Valid)
    best = min(valids, key=lambda record: record.perplexity)
    assert len(valids) == best.epoch + 2
    trained = model_file.load(config.run)
    assert trained.training["best_validation_perplexity"] == pytest.approx(best.perplexity)
    assert trained.training["epoch"] == best.epoch
    assert model_file.load(Path(config.run) / "state.safetensors").training["epoch"] == len(valids)


def test_max_updates(make_config: Any) -> None:
    config = make_config(max_updates=7)
    end = records(config, End)[0]
    assert (end.updates, end.reason) == (7, "max_updates")
    assert model_file.load(config.run).training["updates"] == 7


@pytest.mark.parametrize("way", ["max_updates", "max_minutes", "stopped"])
def test_where_training_ends_inside_an_epoch_it_is_validated(make_config: Any, way: str) -> None:
    """The model that is left is the best of all validations, this one among them."""
    keys: dict[str, Any] = {"max_updates": {"max_updates": 20}, "max_minutes": {"max_minutes": 1e-9}, "stopped": {}}[
        way
    ]
    config = make_config(optimizer="adam", learning_rate=0.01, **keys)
    remaining = iter(range(20))
    found = list(train(config, stop=lambda: way == "stopped" and next(remaining) == 13))
    end, valids = found[-1], [record for record in found if isinstance(record, Valid)]
    assert end.reason == ("interrupted" if way == "stopped" else way)
    last = valids[-1]
    assert (last.updates, last.best) == (end.updates, True)
    assert 0 < last.share < 1
    trained = model_file.load(config.run)
    assert trained.training["updates"] == end.updates
    assert trained.training["best_validation_perplexity"] == last.perplexity == end.best_perplexity
    state = model_file.load(Path(config.run) / "state.safetensors")
    assert trained.parameters["output.U"].tobytes() == state.parameters["output.U"].tobytes()


def test_a_worse_end_leaves_the_best_model(make_config: Any) -> None:
    config = make_config(optimizer="sgd", learning_rate=5.0, clip_norm=None, max_updates=40, epochs=9, patience=None)
    valids = records(config, Valid)
    assert not valids[-1].best
    best = min(record.perplexity for record in valids)
    assert model_file.load(config.run).training["best_validation_perplexity"] == best


def test_validations_by_updates(make_config: Any) -> None:
    config = make_config(validate={"every_updates": 5}, patience=None)
    everything = list(train(config))
    per_epoch = next(record for record in everything if isinstance(record, Start)).updates_per_epoch
    found = [record.updates for record in everything if isinstance(record, Valid)]
    assert found == sorted({*range(5, 2 * per_epoch, 5), per_epoch, 2 * per_epoch})


def test_models_of_the_latest_checkpoints_stay(make_config: Any) -> None:
    config = make_config(checkpoint={"every_updates": 4, "keep": 2}, max_updates=14)
    list(train(config))
    kept = sorted(Path(config.run).glob("model-0*.safetensors"))
    assert [path.name for path in kept] == ["model-000000012.safetensors", "model-000000014.safetensors"]
    assert [model_file.load(path).training["updates"] for path in kept] == [12, 14]
    list(train(config, restart=True))
    assert len(list(Path(config.run).glob("model-0*"))) == 2


def test_a_reader_that_gives_up_loses_nothing(make_config: Any) -> None:
    """An error in a progress display, a callback, a notebook's loop: what was trained is saved."""
    config = make_config(checkpoint={"every_updates": None})
    reader = train(config)
    done = next(record.updates for record in reader if isinstance(record, Updates))
    reader.close()
    assert model_file.load(Path(config.run) / "state.safetensors").training["updates"] == done
    resumed = train(config, resume=True)
    assert next(record for record in resumed if isinstance(record, Start)).updates == done
    resumed.close()


def test_checkpoints_by_updates_and_minutes(make_config: Any) -> None:
    config = make_config(checkpoint={"every_updates": 4})
    everything = list(train(config))
    per_epoch = next(record for record in everything if isinstance(record, Start)).updates_per_epoch
    found = [record.updates for record in everything if isinstance(record, Checkpoint)]
    wanted = {*range(4, 2 * per_epoch, 4), per_epoch, 2 * per_epoch}
    assert found == sorted(wanted)
    by_time = records(make_config(checkpoint={"every_updates": None, "every_minutes": 1e-9}), Checkpoint)
    assert len(by_time) == 2 * per_epoch


def test_without_a_validation_text_the_last_model_is_kept(make_config: Any) -> None:
    config = make_config()
    data = config.data.model_copy(update={"valid": None})
    config = config.model_copy(update={"data": data})
    list(train(config))
    assert model_file.load(config.run).training["epoch"] == 2
