"""What rnnlm and PyTorch are timed on is the same work."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("benchmarks", reason="run from the repository")

from benchmarks import worker
from benchmarks.cases import CASES, Case

TINY = Case("tiny", "for this test", vocabulary=40, hidden=12, batch=3, steps=5)


def test_ids_are_those_of_the_vocabulary_and_the_frequent_ones_come_first() -> None:
    for case in CASES.values():
        ids = case.ids(3)
        assert ids.shape == (3 * case.steps + 1, case.batch)
        assert 0 <= ids.min() <= ids.max() < case.vocabulary
        assert (ids == 0).sum() > (ids == case.vocabulary - 1).sum()
        assert (case.ids(3) == ids).all()


def test_products_are_counted_as_they_are_done() -> None:
    # Output layer and recurrence for every token, the projection for every distinct one; forward and twice backward.
    one_word = dataclasses.replace(TINY, vocabulary=1)
    h = one_word.hidden
    assert one_word.products == pytest.approx(6 * h * 1 + 6 * h * h + 6 * h * h / (3 * 5))


def test_the_trainer_of_rnnlm_learns() -> None:
    update = worker.rnnlm_trainer(TINY, "float32", 1)
    losses = [update(number) for number in range(120)]
    assert np.mean(losses[:3]) == pytest.approx(np.log(40), rel=0.1)
    assert np.mean(losses[-40:]) < np.mean(losses[:3]) - 0.2


def test_losses_are_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 updates from the same weights on the same ids."""
    torch: Any = pytest.importorskip("torch")
    from rnnlm.network import build
    from rnnlm.network.network import Network
    from rnnlm.network.parameters import Parameters, flatten

    made: dict[str, np.ndarray] = {}
    real = Network.__init__

    def watched(
        self: Network, config: Any, cells: Any, output: Any, parameters: Parameters, *rest: Any, **named: Any
    ) -> None:
        made.update(flatten(parameters))
        real(self, config, cells, output, parameters, *rest, **named)

    monkeypatch.setattr(Network, "__init__", watched)
    ours = worker.rnnlm_trainer(TINY, "float32", 1)
    start = {name: torch.from_numpy(value.copy()) for name, value in made.items()}
    assert set(start) == set(build.shapes(TINY.config(), TINY.vocabulary))

    module = torch.nn.Module.__init__
    nets: list[Any] = []

    def kept(self: Any, *arguments: Any, **named: Any) -> None:
        module(self, *arguments, **named)
        nets.append(self)

    monkeypatch.setattr(torch.nn.Module, "__init__", kept)
    theirs = worker.torch_trainer(TINY, "float32", 1)
    net = nets[0]
    with torch.no_grad():
        net.table.weight.copy_(start["embedding.table"])
        net.cell.weight_ih_l0.copy_(start["cell.0.I"].T)
        net.cell.weight_hh_l0.copy_(start["cell.0.H"].T)
        net.cell.bias_ih_l0.copy_(start["cell.0.b1"])
        net.cell.bias_hh_l0.zero_()
        # PyTorch has two biases where the equations have one: the second one stays where it is.
        net.cell.bias_hh_l0.requires_grad_(False)
        net.output.weight.copy_(start["output.U"].T)
        net.output.bias.copy_(start["output.b2"])
    a, b = ([update(number) for number in range(200)] for update in (ours, theirs))
    np.testing.assert_allclose(a, b, rtol=1e-3)


@pytest.mark.slow
def test_the_timeline_accounts_for_an_update() -> None:
    command = [sys.executable, "-m", "benchmarks.timeline", "A", "--precision", "float32", "--seconds", "0.3"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    about = re.search(r"([\d.]+) ms an update; multiply-adds ([\d,]+) GFLOP/s", found)
    assert about is not None
    update, rate = float(about[1]), float(about[2].replace(",", ""))
    rows = {cells[1]: cells[2:-1] for cells in map(lambda line: re.split(r"\s*\|\s*", line), found.splitlines()[3:])}
    kernels, python = rows["all kernels"], rows["Python between them"]
    ms, *parts = (float(cell) for cell in kernels[1:8])
    assert ms == pytest.approx(sum(parts), abs=0.05)
    assert ms + float(python[1]) == pytest.approx(update, abs=0.02)
    floor = float(kernels[9].split()[0])  # of the products that the kernels have counted; below: that must be done
    case = CASES["A"]
    assert floor * rate * 1e6 == pytest.approx(case.products * case.steps * case.batch, rel=0.05)
