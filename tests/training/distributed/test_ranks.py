"""Several ranks train what one process would, whatever their number; what ends one ends all."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mpi
import numpy as np
import pytest
from command import rnnlm
from mpi import needs_mpi, trained
from training_runs import assert_same_run, log_of, records, write_text

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError
from rnnlm.files import tensors
from rnnlm.ranks import launch
from rnnlm.text.streams import Streams
from rnnlm.training.distributed.group import first_streams
from rnnlm.training.records import End
from rnnlm.training.start import start
from rnnlm.work import run_to_end

MODEL: dict[str, Any] = {"cell": "lstm", "layers": 2, "dropout": 0.2}
KEYS: dict[str, Any] = dict(
    batch=10, threads=1, precision="float64", max_updates=200, epochs=99, patience=None, log={"every_updates": 20}
)


@pytest.fixture
def texts(tmp_path: Path, make_config: Any) -> Path:
    """The folder of texts that are long enough for several ranks."""
    write_text(tmp_path / "train.txt", 600, 1)
    return tmp_path


def path_of(config: Config) -> str:
    return f"{config.run}.yaml"


def written(config: Config) -> str:
    """The configuration as a file."""
    Path(path_of(config)).write_text(config_file.dump(config))
    return path_of(config)


def state(config: Config) -> dict[str, np.ndarray]:
    return tensors.read_tensors(Path(config.run) / "state.safetensors")[0]


def losses(config: Config) -> list[float]:
    return [record["loss"] for record in log_of(config) if "loss" in record]


def assert_as_good(one: Config, other: Config, tolerance: float) -> None:
    assert len(losses(one)) > 10
    np.testing.assert_allclose(losses(other), losses(one), rtol=tolerance)


# -- what can be said without MPI


def test_streams_are_shared_out_evenly() -> None:
    assert first_streams(10, 2) == [0, 5, 10]
    for batch in range(1, 30):
        for ranks in range(1, batch + 1):
            sizes = np.diff(first_streams(batch, ranks))
            assert (sizes.sum(), sizes.max() - sizes.min() <= 1) == (batch, True)
    with pytest.raises(ConfigError, match=r"train.batch: found 3, and mpiexec has started 4 ranks"):
        first_streams(3, 4)


def test_an_ordinary_run_imports_nothing_of_mpi(make_config: Any) -> None:
    config = make_config(max_updates=1)
    code = (
        "import sys; from rnnlm import cli; sys.argv = ['rnnlm', 'train', sys.argv[1], '-q']; cli.main();"
        "assert not {'mpi4py', 'rnnlm.ranks.watch'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code, written(config)], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("rank", ["0", "1"])
def test_ranks_without_their_mpi_are_refused_by_the_first_one(make_config: Any, rank: str) -> None:
    """mpi4py is not there, or knows nothing of this mpiexec."""
    config = make_config()
    own = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": rank, "PYTHONWARNINGS": "ignore"}
    found = rnnlm("train", written(config), **own)
    assert (found.returncode, found.stdout) == (2, "")
    if rank == "0":
        last = found.stderr.splitlines()[-1]
        assert last.startswith("error: mpiexec has started 2 ranks, and ")
        assert "mpi4py" in last
        assert "Traceback" not in found.stderr
    else:
        assert "error" not in found.stderr
    assert not Path(config.run).exists()


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, (1, 0)),
        ({"PMI_SIZE": "4", "PMI_RANK": "3"}, (4, 3)),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2", "PMIX_RANK": "2"}, (4, 2)),
        ({"SLURM_STEP_NUM_TASKS": "4", "PMIX_RANK": "2"}, (4, 2)),
        ({"SLURM_STEP_NUM_TASKS": "4"}, (1, 0)),
    ],
    ids=["none", "MPICH", "Open MPI", "Slurm with PMIx", "Slurm without MPI"],
)
def test_what_starts_ranks_says_so(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], found: tuple[int, int]
) -> None:
    for name in (*launch._SIZES, *launch._NUMBERS, launch._SLURM):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (launch.ranks_started(), launch.own_rank()) == found


def test_one_process_does_not_read_the_section(make_config: Any) -> None:
    plain, other = (make_config(max_updates=9, distributed=own) for own in ({}, {"every": 4}))
    for config in (plain, other):
        records(config, End)
    for name, value in state(plain).items():
        assert value.tobytes() == state(other)[name].tobytes()


def test_rounding_goes_with_gradients_that_travel(make_config: Any) -> None:
    with pytest.raises(ConfigError, match=r"train.distributed: gradients: bfloat16 goes with every: 1"):
        make_config(distributed={"every": 4, "gradients": "bfloat16"})


# -- the same training


@needs_mpi
@pytest.mark.parametrize(
    ("ranks", "model", "keys"),
    [
        (2, MODEL, {}),
        pytest.param(4, MODEL, {}, marks=pytest.mark.slow),
        pytest.param(
            3,
            {"tie_weights": True, "hidden": 6, "output": "mixture", "layer_norm": True},
            dict(
                accumulate=2, state="reset", bptt_stride=2, optimizer="adam", learning_rate=0.01, average="ema",
                penalties={"activation": 1, "temporal": 1}, schedule="plateau",
            ),
            marks=pytest.mark.slow,
        ),
        pytest.param(4, MODEL, dict(precision="float32"), marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_ranks_train_as_one_process_does(
    texts: Path, make_config: Any, ranks: int, model: dict[str, Any], keys: dict[str, Any]
) -> None:
    one, several, again = (make_config(model, **(KEYS | keys)) for _ in range(3))
    records(one, End)
    trained(ranks, written(several))
    tolerance = 1e-5 if keys.get("precision") else 1e-12
    assert_as_good(one, several, tolerance)
    for name, value in state(one).items():
        np.testing.assert_allclose(state(several)[name], value, rtol=0, atol=100 * tolerance, err_msg=name)
    told = [record for record in log_of(several) if record["event"] == "ranks"]
    assert told
    assert sum(told[0]["streams"]) == 10
    assert len(told[0]["machines"]) == ranks
    # The same ranks once more: the same bytes.
    trained(ranks, written(again))
    assert_same_run(several, again)


@needs_mpi
@pytest.mark.parametrize(
    ("data", "state"),
    [({"shuffle": True}, "reset"), ({"document": "blank_line"}, "carry")],
    ids=["shuffle", "document"],
)
def test_ranks_read_what_one_process_does(texts: Path, make_config: Any, data: dict[str, Any], state: str) -> None:
    """Any line may come into any stream; a document may begin where a rank's first stream does."""
    text = (texts / "train.txt").read_text()
    (texts / "train.txt").write_text(text.replace("\nthe ", "\n\nthe ") if "document" in data else text)
    one, several = (make_config({}, **(KEYS | {"state": state, "learning_rate": 0.1})) for _ in range(2))
    one, several = (c.model_copy(update={"data": c.data.model_copy(update=data)}) for c in (one, several))
    records(one, End)
    trained(3, written(several))
    assert_as_good(one, several, 1e-12)


@needs_mpi
def test_the_sums_are_numpys() -> None:
    script = Path(mpi.__file__).with_name("mpi_sums.py")
    found = mpi.run(mpi.command(3, str(script)))
    assert found.stdout.split() == ["right"], found.stderr


@needs_mpi
def test_a_run_goes_on_with_another_number_of_ranks(texts: Path, make_config: Any) -> None:
    whole, resumed = make_config(MODEL, **KEYS), make_config(MODEL, **KEYS)
    records(whole, End)
    path = written(resumed)
    trained(2, path, "--set", "train.max_updates=45")
    trained(3, path, "--set", "train.max_updates=110", "--resume")
    assert rnnlm("train", path, "--resume").returncode == 0
    told = [(r["ranks"], r["ranks_before"]) for r in log_of(resumed) if r["event"] == "resumed"]
    assert told == [(3, 2), (1, 3)]
    # Training perplexity and validations inside epochs are of the stops.
    ends = [[r["loss"] for r in log_of(config) if r["event"] == "updates"] for config in (whole, resumed)]
    np.testing.assert_allclose(ends[1][-5:], ends[0][-5:], rtol=1e-12)
    for name, value in state(whole).items():
        np.testing.assert_allclose(state(resumed)[name], value, rtol=0, atol=1e-10, err_msg=name)


@needs_mpi
def test_rounded_gradients_train_nearly_as_well(texts: Path, make_config: Any) -> None:
    one, rounded = make_config(MODEL, **KEYS), make_config(MODEL, **KEYS, distributed={"gradients": "bfloat16"})
    records(one, End)
    trained(2, written(rounded))
    difference = np.abs(np.array(losses(rounded)) / np.array(losses(one)) - 1)
    assert 1e-9 < difference.max() < 0.02


@needs_mpi
def test_local_sgd_averages_weights_after_updates_of_each_rank(texts: Path, make_config: Any) -> None:
    """Against updates of two runs in this process, each with some of the streams, averaged by NumPy."""
    keys = KEYS | dict(optimizer="momentum", learning_rate=0.1, batch=5, max_updates=6)
    several = make_config({}, **keys, distributed={"every": 3})
    trained(2, written(several))
    alone = []
    for _ in range(2):
        run, log = run_to_end(start(make_config({}, **keys), False, False))
        log.close()
        alone.append(run)
    for run, own in zip(alone, (slice(0, 2), slice(2, 5)), strict=True):
        streams = run.streams
        run.streams = Streams(streams.corpus, streams.starts[own], streams.stops[own], "carry")
        run.states = [state[own].copy() for state in run.states]
    for _ in range(2):
        for run in alone:
            for _ in range(3):
                run.update()
        for name in alone[0].network.named:
            for kind in (alone[0].network.named, alone[0].optimizer.moments):
                key = name if name in kind else f"m.{name}"
                arrays = [run.network.named[key] if key == name else run.optimizer.moments[key] for run in alone]
                mean = 2 / 5 * arrays[0] + 3 / 5 * arrays[1]
                for array in arrays:
                    array[:] = mean
    found = state(several)
    for name, value in alone[0].network.named.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-14, err_msg=name)
        moment = alone[0].optimizer.moments[f"m.{name}"]
        np.testing.assert_allclose(found[f"optimizer.m.{name}"], moment, rtol=0, atol=1e-14, err_msg=name)
    total = sum(run.at.epoch_loss for run in alone)
    position = tensors.read_tensors(Path(several.run) / "state.safetensors")[1]["position"]
    assert position["epoch_loss"] == pytest.approx(total, rel=1e-13)


# -- errors


@needs_mpi
def test_an_error_is_one_line_of_one_rank(texts: Path, make_config: Any) -> None:
    config = make_config(**KEYS)
    path = written(config)
    for arguments, message in (
        (["--set", "train.batch=1"], "train.batch: found 1, and mpiexec has started 2 ranks"),
        (["--no-such-option"], "No such option: --no-such-option"),
        (["--set", "train.bptt=0"], "train.bptt"),
    ):
        found = mpi.rnnlm(2, "train", path, *arguments)
        assert found.returncode != 0
        (line,) = mpi.errors(found)
        assert message in line
        assert "Traceback" not in found.stderr
        assert not Path(config.run).exists()


@needs_mpi
@pytest.mark.parametrize("every", [1, 5])
def test_a_gradient_that_is_not_finite_ends_all(texts: Path, make_config: Any, every: int) -> None:
    config = make_config(
        {"cell": {"type": "elman", "activation": "relu"}}, **(KEYS | dict(learning_rate=1e200, clip_norm=None)),
        distributed={"every": every},
    )  # fmt: skip
    found = mpi.rnnlm(2, "train", written(config))
    assert found.returncode != 0
    (line,) = mpi.errors(found)
    assert "not finite" in line
    assert "Traceback" not in found.stderr


@needs_mpi
def test_a_rank_that_fails_is_named_and_ends_all(texts: Path, make_config: Any) -> None:
    config = make_config(**(KEYS | dict(precision="bfloat16")))
    own = [sys.executable, "-m", "rnnlm", "train", written(config)]
    found = mpi.run([*mpi.command(1, *own[1:]), ":", "-n", "1", "env", "RNNLM_MATMUL=abacus", *own])
    assert found.returncode != 0
    (line,) = mpi.errors(found)
    assert line.startswith("error: rank 1 (")
    assert "abacus" in line


# Runs the command line; at rank 0 the console cannot draw the first losses.
NO_CONSOLE = """
from rnnlm import cli, console
from rnnlm.ranks.launch import own_rank
from rnnlm.training.records import Updates

def draw(self, record, real=console.Console.draw):
    if isinstance(record, Updates):
        raise OSError(28, "No space left on device")
    real(self, record)

console.Console.draw = draw
cli.main()
"""
# The same; one rank finds nobody who watches.
NO_WATCH = """
from rnnlm import cli
from rnnlm.ranks import watch
from rnnlm.ranks.launch import own_rank

def refused(*arguments):
    raise ConnectionRefusedError(111, "Connection refused")

if own_rank() == RANK:
    watch.socket.create_connection = refused
cli.main()
"""


@needs_mpi
@pytest.mark.parametrize(
    ("code", "message", "kept"),
    [
        (NO_CONSOLE, "No space left on device", True),
        (NO_WATCH.replace("RANK", "0"), "rank 0 (", False),
        (NO_WATCH.replace("RANK", "1"), "rank 1 (", False),
    ],
    ids=["console", "watch of rank 0", "watch of rank 1"],
)
def test_ranks_do_not_wait_for_one_that_gave_up(
    texts: Path, make_config: Any, code: str, message: str, kept: bool
) -> None:
    config = make_config(**(KEYS | dict(max_updates=None)))
    found = mpi.run(mpi.command(2, "-c", code, "train", written(config)), timeout=60)
    assert found.returncode != 0
    (line,) = mpi.errors(found)
    assert message in line
    assert (Path(config.run) / "state.safetensors").exists() is kept
    assert mpi.ended(path_of(config))


@needs_mpi
def test_an_interrupted_run_goes_on(texts: Path, make_config: Any) -> None:
    config = make_config(MODEL, **(KEYS | dict(max_updates=None)))
    arguments = mpi.command(2, "-m", "rnnlm", "train", written(config))
    process = subprocess.Popen(arguments, env=mpi.ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_log(config)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert mpi.ended(path_of(config))
    trained(3, written(config), "--resume", "--set", "train.max_updates=400")
    assert log_of(config)[-1]["reason"] == "max_updates"


def wait_for_log(config: Config) -> None:
    """Until the first updates are logged."""
    for _ in range(1200):
        path = Path(config.run) / "log.jsonl"
        if path.exists() and '"updates"' in path.read_text():
            return
        time.sleep(0.05)
    raise AssertionError("no update was logged")


@needs_mpi
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the ranks in /proc")
def test_a_rank_killed_at_any_instant_ends_all_and_nothing_is_lost(texts: Path, make_config: Any) -> None:
    """Twenty times, without warning; resumed each time, and the end has the bytes of a run that never stopped."""
    keys = KEYS | dict(max_updates=800, checkpoint={"every_updates": 40, "keep": 2}, validate={"every_updates": 333})
    whole, killed = make_config(MODEL, **keys), make_config(MODEL, **keys)
    for _ in range(2):  # the first may compile
        began = time.monotonic()
        trained(3, written(whole), "--restart")
        duration = time.monotonic() - began
    arguments = mpi.command(3, "-m", "rnnlm", "train", written(killed), "--resume")
    generator = random.Random(7)
    kills = said = 0
    while kills < 20:
        process = subprocess.Popen(
            arguments, env=mpi.ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        time.sleep(generator.uniform(0.1, 0.9) * duration)
        victim = generator.randrange(3)
        at_work = mpi.ranks_of(path_of(killed))
        if victim in at_work:
            os.kill(at_work[victim], signal.SIGKILL)
            began = time.monotonic()
            _, err = process.communicate(timeout=30)
            told = [line for line in err.splitlines() if line.startswith("error: ")]
            # Before the ranks have met, mpiexec alone can say it.
            assert [line.startswith(f"error: rank {victim} (") for line in told] == [True] * len(told), err
            said += len(told)
            assert process.returncode != 0
            assert time.monotonic() - began < 30
            kills += 1
        else:
            process.communicate(timeout=60)
            # It came to its end first: that must be the right one, and the next run begins anew.
            assert process.returncode == 0
            assert_same_run(whole, killed)
            shutil.rmtree(killed.run)
        assert mpi.ended(path_of(killed))
    assert said >= 10
    trained(3, written(killed), "--resume")
    assert_same_run(whole, killed)
