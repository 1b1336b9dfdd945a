"""Samples on the way: what they are, and that they change nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import settings, write_texts
from training_runs import assert_same_run, log_of, stopped_run

from rnnlm import pipeline
from rnnlm.config.schema import Config
from rnnlm.errors import TextError
from rnnlm.files import model_file, tensors
from rnnlm.language_model import LanguageModel
from rnnlm.training.loop import train
from rnnlm.training.records import TrainingSample
from rnnlm.work import Note

SAMPLE = {"every_updates": 4, "tokens": 12, "prompt": "the dog"}
MODELS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, dict(precision="float64", optimizer="adam")),
    ({"cell": "lstm", "tie_weights": True, "dropout": 0.2}, dict(average={"type": "ema", "decay": 0.5})),
    ({"output": "mixture", "layer_norm": True}, dict(precision="bfloat16", gradient_noise=0.01, accumulate=2)),
    ({"cell": {"type": "scrn", "context": 3}}, dict(state="reset", average={"type": "asgd", "patience": 1})),
    ({"cell": "gru", "layers": 2}, dict(bptt_stride=2, validate={"every_updates": 7}, schedule="plateau")),
]


def samples(config: Config) -> list[dict[str, Any]]:
    return [record for record in log_of(config) if record["event"] == "sample"]


@pytest.mark.parametrize(("model", "keys"), MODELS)
def test_samples_change_no_byte_of_the_training(
    make_config: Any, model: dict[str, Any], keys: dict[str, Any]
) -> None:
    keys = dict(epochs=3, patience=None, learning_rate=0.05) | keys
    without, with_them = make_config(model, **keys), make_config(model, **keys, sample=SAMPLE)
    for config in (without, with_them):
        list(train(config))
    assert len(samples(with_them)) > 3
    for name in ("model.safetensors", "state.safetensors"):
        one, other = (tensors.read_tensors(Path(config.run) / name)[0] for config in (without, with_them))
        assert {key: value.tobytes() for key, value in one.items()} == {
            key: value.tobytes() for key, value in other.items()
        }
    logs = [[line for line in log_of(config) if line["event"] != "sample"] for config in (without, with_them)]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(("model", "keys"), MODELS)
def test_a_stopped_run_samples_the_same(make_config: Any, model: dict[str, Any], keys: dict[str, Any]) -> None:
    keys = dict(epochs=3, patience=None, learning_rate=0.05, sample=SAMPLE) | keys
    whole = make_config(model, **keys)
    list(train(whole))
    stopped = stopped_run(make_config(model, **keys), (5, 9))
    assert_same_run(whole, stopped)
    assert len(samples(stopped)) > 3


@pytest.mark.parametrize("average", [None, {"type": "ema", "decay": 0.5}])
def test_a_sample_is_that_of_the_model_of_this_update(make_config: Any, average: Any) -> None:
    """Drawn here from the saved model, by the inverse of the cumulative distribution at the numbers of the seed."""
    config = make_config(
        sample=SAMPLE, average=average, checkpoint={"every_updates": 4, "keep": 99}, precision="float64"
    )
    found = {record.updates: record.text for record in train(config) if isinstance(record, TrainingSample)}
    assert len(found) > 4
    assert all(text.startswith("the dog") for text in found.values())
    assert len(set(found.values())) > 2
    for updates, text in found.items():
        path = Path(config.run) / f"model-{updates:09d}.safetensors"
        model = LanguageModel(model_file.load(path), 1, initial_state="zero")
        generator = np.random.default_rng([(config.train.seed << 64) + updates, 0])
        tokens = model.vocabulary.tokens
        allowed = model.vocabulary.counts > 0
        written = ["the", "dog"]
        for _ in range(12):
            log_p = {entry.token: entry.surprisal for entry in model.next(" ".join(written), top=len(tokens))}
            p = np.array([2 ** -log_p[token] for token in tokens]) * allowed
            cumulative = np.cumsum(p)
            token = tokens[int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))]
            if token == tokens[model.vocabulary.line_end]:
                break
            written.append(token)
        assert text.rstrip("\n").split() == written


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_every_unit_and_no_prompt(tmp_path: Path, unit: str) -> None:
    write_texts(tmp_path)
    config = settings(tmp_path, unit, epochs=1, sample={"every_updates": 9, "tokens": 30}, threads=2)
    found = [record for record in train(config) if isinstance(record, TrainingSample)]
    assert [record.updates for record in found] == list(range(9, found[-1].updates + 1, 9))
    for record in found:
        if unit == "word":
            assert "\n" not in record.text.removesuffix("\n"), "ends with its line"
            assert len(record.text.split()) <= 30
        else:
            assert len(record.text) == 30


def test_a_prompt_is_looked_at_before_anything_is_written(make_config: Any) -> None:
    config = make_config(sample={"every_updates": 4, "prompt": "the </s>"})
    with pytest.raises(TextError, match=r"train\.sample\.prompt"):
        list(train(config))
    assert not (Path(config.run) / "config.yaml").exists()


def test_unknown_words_of_a_prompt_are_told_once(make_config: Any) -> None:
    config = make_config(sample={"every_updates": 4, "prompt": "the zebra"})
    notes = [record.text for record in train(config) if isinstance(record, Note)]
    assert [note for note in notes if "zebra" in note] == ["not in the vocabulary, read as <unk>: 'zebra'"]


def test_without_samples_nobody_looks_at_the_prompt(make_config: Any) -> None:
    assert not [r for r in train(make_config(sample={"prompt": "</s>"}, epochs=1)) if isinstance(r, TrainingSample)]


def test_a_run_that_goes_on_may_begin_to_sample(make_config: Any) -> None:
    config = make_config()
    list(train(config, stop=iter([False] * 5 + [True]).__next__))
    now = config.model_copy(update={"train": make_config(sample=SAMPLE).train})
    assert any(isinstance(record, TrainingSample) for record in train(now, resume=True))


def test_the_log_of_a_run_with_samples_is_read_everywhere(tmp_path: Path, call: Any) -> None:
    write_texts(tmp_path)
    config = settings(tmp_path, run="runs/a", epochs=2, sample=SAMPLE)
    list(pipeline.run(config))
    status, out, err = call("runs", tmp_path / "runs")
    assert (status, err) == (0, "")
    assert re.search(r"finished", out)
    curve = LanguageModel(model_file.load(config.run)).curve()
    assert {record["event"] for record in curve} >= {"start", "sample", "valid", "test"}
