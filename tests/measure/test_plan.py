"""What a run would take: said without training, and true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small import settings, write_texts

from rnnlm import pipeline
from rnnlm.config.schema import Config
from rnnlm.errors import ResourceError, TextError
from rnnlm.files import model_file
from rnnlm.measure import plan, trial
from rnnlm.training import memory
from rnnlm.training.records import Start


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    write_texts(tmp_path)
    monkeypatch.setattr(plan, "_SECONDS", 0.05)
    return settings(tmp_path, epochs=2)


def drain(work: Any) -> tuple[list[Any], Any]:
    records = []
    while True:
        try:
            records.append(next(work))
        except StopIteration as end:
            return records, end.value


@pytest.mark.parametrize("keys", [{}, {"bptt_stride": 3}, {"max_updates": 7}, {"loss": "last"}, {"state": "reset"}])
def test_the_plan_is_what_then_happens(config: Config, keys: dict[str, Any]) -> None:
    config = config.model_copy(update={"train": config.train.model_copy(update=keys)})
    _, found = drain(plan.plan(config))
    assert not list(Path(config.run).glob("*.safetensors"))
    records, _ = drain(pipeline.run(config))
    start = next(record for record in records if isinstance(record, Start))
    trained = model_file.load(config.run)
    assert {name: (shape, size) for name, shape, size in found.tensors} == {
        name: (value.shape, value.size) for name, value in trained.parameters.items()
    }
    assert found.parameters == start.parameters == sum(value.size for value in trained.parameters.values())
    assert (found.total_updates, found.threads) == (start.total_updates, start.threads)
    assert found.vocabulary == len(trained.vocabulary)
    assert found.train_tokens == trained.vocabulary.counts.sum()
    training = found.seconds_per_epoch * found.total_updates / start.updates_per_epoch
    assert found.validations > 0
    assert found.seconds == pytest.approx(training + found.validations * found.seconds_per_validation)
    on_disk = sum(
        path.stat().st_size for path in Path(config.run).rglob("*") if path.suffix in (".safetensors", ".ids")
    )
    headers = 20_000  # the configuration and the vocabulary, twice
    assert on_disk - headers < found.disk_bytes < 3 * on_disk


def test_every_task_ends(config: Config) -> None:
    """A bar that never fills would stay on the screen."""
    records, _ = drain(plan.plan(config))
    last = {record.task: record for record in records}
    assert (last["compiling the kernels"].done, last["compiling the kernels"].total) == (1, 1)
    assert last["measuring"].unit == "seconds"


def test_too_large_for_this_machine_is_said_before_anything_is_made(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("the network was made")

    monkeypatch.setattr(trial.build, "build", never)
    monkeypatch.setattr(memory, "available_memory", lambda: 5_000)
    with pytest.raises(ResourceError, match="training needs about .* MB of memory, 0.0 MB are free"):
        drain(plan.plan(config))


def test_what_training_would_refuse_the_plan_refuses(config: Config) -> None:
    config = config.model_copy(update={"train": config.train.model_copy(update={"batch": 10_000})})
    with pytest.raises(TextError, match="fewer than one window of the batch"):
        drain(plan.plan(config))
