"""What a run would take: said without training, and true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small import settings, write_texts

from rnnlm import pipeline
from rnnlm.config import file as config_file
from rnnlm.config.network import Adaptive
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


def test_a_plan_says_which_cutoffs_are_chosen(config: Config) -> None:
    model = config.model.model_copy(update={"output": Adaptive()})
    config = config.model_copy(update={"model": model})
    _, found = drain(plan.plan(config))
    drain(pipeline.run(config))
    kept = config_file.load(Path(config.run) / "config.yaml").model.output
    assert isinstance(kept, Adaptive)
    assert list(found.cutoffs) == kept.cutoffs


def test_a_plan_says_what_is_taken_from_a_model(config: Config) -> None:
    drain(pipeline.run(config))
    path = Path(str(config.data.train))
    path.write_text(path.read_text().replace("the", "this"))
    keys = {"from": config.run, "freeze": ["output"]}
    other = config.model_copy(update={"train": config.train.model_copy(update=keys), "run": f"{config.run}-2"})
    _, found = drain(plan.plan(other))
    assert found.source is not None
    assert (found.source.matched, found.source.new, found.source.left_out) == (found.vocabulary - 1, 1, 1)
    output = sum(size for name, _, size in found.tensors if name.startswith("output."))
    assert found.trained == found.parameters - output
    assert found.json()["source"]["new"] == 1
    records, _ = drain(pipeline.run(other))
    assert next(record for record in records if isinstance(record, Start)).source == found.json()["source"]


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


MEASURE = """
import resource, sys
from rnnlm.config import file
from rnnlm.training import loop, memory
from rnnlm.training.records import Checkpoint

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

needed = []
needs = memory.needs
def noted(*arguments):
    found = needs(*arguments)
    needed.append(found.training_bytes)
    return found
memory.needs = noted
checkpoints = 0
for record in loop.train(file.load(sys.argv[1]), resume=sys.argv[2] == "resume"):
    if isinstance(record, Checkpoint):
        checkpoints += 1
print(needed[0], peak(), checkpoints)
"""


@pytest.mark.slow
@pytest.mark.parametrize("keys", [{}, {"optimizer": "adam"}, {"average": "ema"}], ids=str)
def test_a_checkpoint_takes_no_memory_that_the_plan_leaves_out(tmp_path: Path, keys: dict[str, Any]) -> None:
    """Nor does going on from one: a machine that passed the check is not killed at its first checkpoint."""
    words = [f"word{i}" for i in range(60_000)]
    (tmp_path / "train.txt").write_text("".join(" ".join(words[i : i + 20]) + "\n" for i in range(0, len(words), 20)))
    config = config_file.validate(
        {
            "data": {"train": str(tmp_path / "train.txt"), "valid": str(tmp_path / "train.txt")},
            "embedding": {"size": 300},
            "model": {"hidden": 300, "cell": "lstm"},
            "train": {"threads": 1, "max_updates": 2, "checkpoint": {"every_updates": 1}, "epochs": 1, **keys},
            "run": str(tmp_path / "run"),
        }
    )
    for updates, mode in ((2, "new"), (4, "resume")):
        train = config.train.model_copy(update={"max_updates": updates})
        (tmp_path / "c.yaml").write_text(config_file.dump(config.model_copy(update={"train": train})))
        command = [sys.executable, "-c", MEASURE, str(tmp_path / "c.yaml"), mode]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        needed, peak, checkpoints = map(int, out.split())
        assert checkpoints == 2
        # Python with compiled code takes some 230 MB of its own; a copy of the weights would be 144 MB more.
        assert peak < needed + 300e6
