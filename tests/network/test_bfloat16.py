"""Training in bfloat16: float32 weights, rounded products, exact scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import WAYS, needs_tiles, take_way
from networks import Case, config

from rnnlm.errors import InputError
from rnnlm.kernels import cpu
from rnnlm.kernels.matmul import amx
from rnnlm.network import build
from rnnlm.network.parameters import flatten
from rnnlm.training import loop as training
from rnnlm.work import Note


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How bfloat16 is multiplied."""
    take_way(monkeypatch, request.param)
    return str(request.param)


def pair(hidden: int = 40, **settings: Any) -> tuple[Case, Case]:
    """The same network and window, to be trained in bfloat16 and in float32."""
    made = [
        Case(config("tanh", d=24, hidden=hidden, precision=p, **settings), 600, steps=9)
        for p in ("bfloat16", "float32")
    ]
    for case in made:
        for parameter in case.network.named.values():
            parameter *= 0.25  # far from saturated, where small errors grow from step to step
    return made[0], made[1]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"layers": 2},
        {"tie": True},
        {"dropout": 0.3},
        {"model": {"cell": "gru"}},
        {"model": {"cell": "lstm"}},
        {"model": {"cell": "gru"}, "hidden": 41},
        {"model": {"cell": "gru_before"}, "hidden": 41},
        {"model": {"cell": "lstm"}, "hidden": 41},
        {"model": {"cell": {"type": "scrn", "context": 7}}},
    ],
    ids=str,
)
def test_gradients_are_those_of_float32_within_the_rounding(settings: dict[str, Any]) -> None:
    rough, exact = pair(**settings)
    assert rough.loss(9, mask=(1, 2)) == pytest.approx(exact.loss(9, mask=(1, 2)), rel=1e-4)
    wanted = exact.gradients(9, mask=(1, 2))
    for name, found in rough.gradients(9, mask=(1, 2)).items():
        assert found.dtype == np.float32
        difference = np.linalg.norm(found - wanted[name])
        assert 0 < difference < 0.01 * np.linalg.norm(wanted[name]), name


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("vocabulary", [11, 600])
@pytest.mark.parametrize(
    "model", [{}, {"tie_weights": True}, {"output": {"type": "mixture", "softmaxes": 2}}], ids=str
)
def test_the_loss_alone_is_the_one_that_is_differentiated(vocabulary: int, model: dict[str, Any]) -> None:
    case = Case(config("tanh", hidden=24, d=24, precision="bfloat16", model=model), vocabulary, steps=9)
    alone = case.network.loss(case.forward((1, 2)), case.targets, 9)
    assert alone == pytest.approx(case.backward(9, (1, 2))[0], rel=3e-3)


@pytest.mark.usefixtures("way")
def test_scores_are_not_rounded() -> None:
    rough, exact = pair()
    found, wanted = (case.network.scores(case.forward(), case.targets)[0] for case in (rough, exact))
    assert (found == wanted).all()


@needs_tiles
@pytest.mark.parametrize("vocabulary", [30, 600])
@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "gru_before", "mingru"])
def test_two_bfloat16_for_each_number_are_nearly_float32(cell: str, vocabulary: int) -> None:
    """The loss of each of 200 updates by sgd."""
    made = [
        Case(config("tanh", d=24, hidden=37, precision=p, model={"cell": cell}), vocabulary, steps=9, batch=5)
        for p in ("bfloat16x3", "float32")
    ]
    for update in range(200):
        losses = []
        for case in made:
            loss, _ = case.backward(9, (1, update))
            losses.append(loss)
            for name, gradient in case.gradients(9, mask=(1, update)).items():
                case.network.named[name] -= np.float32(0.02) * gradient
        assert losses[0] == pytest.approx(losses[1], rel=1e-4), update
    assert losses[1] < 100


@pytest.mark.parametrize(("tiles", "granted", "why"), [(False, True, "no AMX"), (True, False, "does not grant AMX")])
def test_without_tiles_it_is_refused(tiles: bool, granted: bool, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "HAS_TILES", tiles)
    monkeypatch.setattr(amx, "permitted", lambda: granted)
    rough, exact = (Case(config(precision=p), 30) for p in ("bfloat16x3", "float32"))
    with pytest.raises(InputError, match=f"train.precision: bfloat16x3: .*{why}; take float32"):
        rough.forward((1, 2))
    found, wanted = (case.network.scores(case.forward(), case.targets)[0] for case in (rough, exact))
    assert (found == wanted).all(), "it is scored everywhere"


def test_weights_are_float32() -> None:
    settings = config(precision="bfloat16")
    parameters = build.init(settings, 30, np.zeros((30, 5)))
    assert {value.dtype for value in flatten(parameters).values()} == {np.dtype(np.float32)}


def test_elsewhere_it_says_so_and_trains_in_float32(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_way(monkeypatch, "float32")
    text = tmp_path / "text.txt"
    text.write_text("the dog sees the cat\n" * 300, encoding="utf-8")

    def bytes_after_training(precision: str) -> tuple[list[str], dict[str, np.ndarray]]:
        settings = config(precision=precision, batch=4, bptt=5, max_updates=5)
        settings = settings.model_copy(
            update={
                "data": settings.data.model_copy(update={"train": str(text)}),
                "run": str(tmp_path / precision),
            }
        )
        work, notes = training.train(settings), []
        while True:
            try:
                record = next(work)
            except StopIteration:
                break
            if isinstance(record, Note):
                notes.append(record.text)
        from rnnlm.files import model_file

        return notes, model_file.load(tmp_path / precision / "state.safetensors").parameters

    notes, found = bytes_after_training("bfloat16")
    assert "training in float32, not bfloat16: RNNLM_MATMUL says so" in notes
    plain, wanted = bytes_after_training("float32")
    assert not any("bfloat16" in note for note in plain)
    assert all((found[name] == wanted[name]).all() for name in wanted)
