"""Frozen parameters stay the same to the byte, and no other gradient knows of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mpi
import numpy as np
import pytest
from mpi import needs_mpi
from training_runs import assert_same_run, records, start_weights, stopped_run, write_text

from rnnlm.config import file as config_file
from rnnlm.errors import ConfigError
from rnnlm.files import model_file, tensors
from rnnlm.network.network import Network
from rnnlm.training.freezing import is_frozen
from rnnlm.training.loop import train
from rnnlm.training.optimizers.optimizer import RULES
from rnnlm.training.records import Updates

# All that may move a weight.
KEYS: dict[str, Any] = dict(average="ema", gradient_noise=0.01, clip_norm=0.05, learning_rate=0.05, accumulate=2)
PARTS = [["embedding"], ["cell.0", "norm"], ["output.U", "cell.1.H"], ["output"]]


@pytest.mark.parametrize("freeze", PARTS, ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_they_stay_the_same_and_the_others_do_not(make_config: Any, rule: str, freeze: list[str]) -> None:
    optimizer = {"type": rule, "weight_decay": 0.1}
    model = {"cell": "lstm", "layers": 2, "layer_norm": True}
    config = make_config(model, optimizer=optimizer, freeze=freeze, **KEYS)
    before = start_weights(make_config(model))
    list(train(config))
    arrays, _ = tensors.read_tensors(Path(config.run) / "state.safetensors")
    for found in (model_file.load(config.run).parameters, arrays):
        for name, value in before.items():
            assert (found[name].tobytes() == value.tobytes()) is is_frozen(config.train, name), name
    held = {name.split(".", 1 if name.startswith("average") else 2)[-1] for name in arrays if "." in name}
    assert not [name for name in before if is_frozen(config.train, name) and f"average.{name}" in arrays]
    assert not [name for name in arrays if name.startswith("optimizer.") and is_frozen(config.train, name[12:])]
    assert held >= {name for name in before if not is_frozen(config.train, name)}


@pytest.mark.parametrize("freeze", PARTS, ids=str)
def test_the_other_gradients_and_their_norm(
    make_config: Any, freeze: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float64, those of the first update, beside a run in which nothing is frozen."""
    kept: list[dict[str, np.ndarray]] = []
    backward = Network.backward

    def keep(network: Network, *arguments: Any) -> Any:
        loss, gradients = backward(network, *arguments)
        kept.append({name: array.copy() for name, array in gradients.arrays()})
        return loss, gradients

    monkeypatch.setattr(Network, "backward", keep)
    model = {"cell": "lstm", "layers": 2, "layer_norm": True}
    norms = []
    for parts in ([], freeze):
        config = make_config(model, freeze=parts, max_updates=1, log={"every_updates": 1}, precision="float64")
        norms.append(records(config, Updates)[0].gradient_norm)
    free, frozen = kept
    rest = [name for name in free if not is_frozen(config.train, name)]
    assert 0 < len(rest) < len(free)
    assert all(free[name].tobytes() == frozen[name].tobytes() for name in rest)
    assert norms[1] == pytest.approx(np.sqrt(sum((free[name] ** 2).sum() for name in rest)), rel=1e-12)
    assert norms[1] < norms[0]


@pytest.mark.parametrize("average", [None, "ema", {"type": "asgd", "patience": 1}], ids=str)
def test_a_stopped_run_ends_with_the_same_bytes(make_config: Any, average: Any) -> None:
    keys = KEYS | dict(average=average, optimizer="adam", freeze=["embedding", "cell.0.H"], epochs=4, patience=None)
    whole = make_config(**keys)
    list(train(whole))
    assert_same_run(whole, stopped_run(make_config(**keys), (5, 9)))


def test_a_table_that_is_not_trainable_leaves_nothing_to_train(make_config: Any) -> None:
    values = make_config(freeze=["cell", "output"]).model_dump()
    values["embedding"]["trainable"] = False
    with pytest.raises(ConfigError, match="train.freeze: all parameters are frozen; leave one out"):
        list(train(config_file.validate(values)))


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (
            ["layers.0"],
            r"train.freeze: found 'layers.0'; must be one of embedding, embedding.table, cell, cell.0, cell.0.I, ",
        ),
        (["output.u"], "train.freeze: found 'output.u'; must be one of"),
        ([""], "train.freeze: found ''; must be one of"),
        (["embedding", "cell", "output"], "train.freeze: all parameters are frozen; leave one out"),
    ],
)
def test_names_that_are_none(make_config: Any, freeze: list[str], message: str) -> None:
    config = make_config(freeze=freeze)
    with pytest.raises(ConfigError, match=message):
        list(train(config))
    assert not Path(config.run, "config.yaml").exists()


@needs_mpi
@pytest.mark.parametrize("every", [1, 3])
def test_so_they_do_at_several_ranks(make_config: Any, tmp_path: Path, every: int) -> None:
    """Three ranks' mean of the same number is not always this number."""
    write_text(tmp_path / "train.txt", 300, 1)
    config = make_config(batch=6, threads=1, freeze=["embedding", "cell"], distributed={"every": every})
    before = start_weights(config)
    path = Path(f"{config.run}.yaml")
    path.write_text(config_file.dump(config))
    mpi.trained(3, path)
    for name, value in model_file.load(config.run).parameters.items():
        assert (value.tobytes() == before[name].tobytes()) is is_frozen(config.train, name), name
