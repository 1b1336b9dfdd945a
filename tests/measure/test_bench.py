"""The commands that measure and that compile ahead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import rnnlm

from rnnlm.measure import warmup
from rnnlm.network.cells import CELLS
from rnnlm.network.outputs import OUTPUTS


@pytest.mark.parametrize(
    "settings", [[], ["model.layers=2", "model.dropout=0.2"], ["train.precision=float64", "train.loss=last"]]
)
def test_bench_measures_every_figure(settings: list[str], tmp_path: Path) -> None:
    overrides = [word for setting in settings for word in ("--set", setting)]
    done = rnnlm("bench", "quickstart", "--json", "--seconds", "0.05", "--set", f"run={tmp_path / 'run'}", *overrides)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    numbers = {key: value for key, value in found.items() if isinstance(value, float | int)}
    assert all(value > 0 for value in numbers.values()), numbers
    shares = [layer["share"] for layer in found["layers"]]
    assert sum(shares) == pytest.approx(1)
    assert all(0 < share < 1 for share in shares)
    gflops = [layer["gflops"] for layer in found["layers"] if layer["gflops"] is not None]
    assert len(gflops) == 2
    assert all(0 < rate < 4 * found["machine_gflops"] for rate in gflops)  # short: far from exact
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_bench_draws_tables() -> None:
    done = rnnlm("bench", "--seconds", "0.05", "--quiet")
    assert done.returncode == 0, done.stderr
    for word in ("training", "evaluation", "sampling", "output layer", "GFLOP/s", "peak memory"):
        assert word in done.stdout


@pytest.mark.slow
def test_warmup_leaves_nothing_to_compile(tmp_path: Path) -> None:
    """After it, training, scoring and sampling add no file to the cache."""
    done = rnnlm("warmup", "--precision", "float32", "--json", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["precisions"] == ["float32"]
    cache = Path(found["cache"])
    assert cache.is_relative_to(tmp_path)
    before = sorted(path.name for path in cache.rglob("*.nbc"))
    run = str(tmp_path / "run")
    every_network = [["vocab.max_size=600", "model.layers=2"], ["model.output=mixture", "model.tie_weights=true"]]
    every_network += [[f"model.cell={name}"] for name in CELLS] + [[f"model.output={name}"] for name in OUTPUTS]
    every_network += [["model.output={type: sampled, objective: nce}"]]
    for settings in every_network:
        more = [word for setting in settings for word in ("--set", setting)]
        done = rnnlm("train", "quickstart", "--restart", "--run", run, "--set", "train.max_updates=2", "--quiet",
                     *more, XDG_CACHE_HOME=str(tmp_path))  # fmt: skip
        assert done.returncode == 0, done.stderr
        done = rnnlm("sample", run, "--top-k", "3", XDG_CACHE_HOME=str(tmp_path))
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in cache.rglob("*.nbc")) == before


def test_warmup_builds_every_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every cell and output layer; what is compiled with them is slow."""
    for name in ("_train", "_score", "_sample", "_read_a_text"):
        monkeypatch.setattr(warmup, name, lambda *arguments, **options: None)
    for part in warmup.PARTS:
        warmup.compile_part("float32", part)


def test_warmup_refuses_what_is_no_precision() -> None:
    done = rnnlm("warmup", "--precision", "float16")
    assert done.returncode == 2
    assert "'float16' is not one of 'float32', 'float64', 'bfloat16'" in done.stderr
