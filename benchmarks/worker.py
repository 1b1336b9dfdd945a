"""One program on one case in a process of its own: trains when told to, and says how fast.

    python -m benchmarks.worker rnnlm C float32

Reads a number of seconds a line; answers with a JSON object a line.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases import CASES, Case

_WINDOWS = 40  # different ones, read again and again


def rnnlm_trainer(case: Case, precision: str, threads: int) -> Callable[[int], float]:
    """The update of ``rnnlm.run``: forward, backward, clip, sgd."""
    from rnnlm import model
    from rnnlm.model import Network
    from rnnlm.optim import Optimizer

    config = case.config(precision, threads)
    table = np.random.default_rng(0).normal(0, 0.1, (case.vocabulary, case.hidden))
    network = Network(config, model.init(config, case.vocabulary, table))
    optimizer = Optimizer(config.train, network.parameters)
    ids = case.ids(_WINDOWS)
    reset = np.zeros((case.steps, case.batch), np.bool_)
    states = network.zero_state(case.batch)

    def update(number: int) -> float:
        nonlocal states
        start = number % _WINDOWS * case.steps
        network.forward(ids[start : start + case.steps], reset, states, mask=(0, number))
        loss, gradients = network.backward(ids[start + 1 : start + case.steps + 1], case.steps)
        _, factor = optimizer.clip(gradients, network.workers)
        optimizer.update(gradients, config.train.learning_rate, factor, network.workers)
        states = network.states_after(case.steps, states)
        return loss / (case.steps * case.batch)

    return update


def torch_trainer(case: Case, precision: str, threads: int, compiled: bool = False) -> Callable[[int], float]:
    """The same network and recipe from PyTorch's own modules."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(case.vocabulary, case.hidden)
            self.cell = nn.RNN(case.hidden, case.hidden)
            self.output = nn.Linear(case.hidden, case.vocabulary)
            nn.init.normal_(self.table.weight, 0, 0.1)

        def forward(self, x: Any, h: Any) -> Any:
            y, h = self.cell(self.table(x), h)
            return self.output(y), h

    net = Net()
    called = torch.compile(net) if compiled else net
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    ids = torch.from_numpy(case.ids(_WINDOWS).astype(np.int64))
    h = torch.zeros(1, case.batch, case.hidden)

    def update(number: int) -> float:
        nonlocal h
        start = number % _WINDOWS * case.steps
        x, y = ids[start : start + case.steps], ids[start + 1 : start + case.steps + 1]
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits, last = called(x, h)
            loss = nn.functional.cross_entropy(logits.reshape(-1, case.vocabulary), y.reshape(-1), reduction="sum")
        (loss / case.batch).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        h = last.detach().float()
        return loss.item() / (case.steps * case.batch)

    return update


TRAINERS: dict[str, Callable[[Case, str, int], Callable[[int], float]]] = {
    "rnnlm": rnnlm_trainer,
    "torch": torch_trainer,
    "compiled": lambda case, precision, threads: torch_trainer(case, precision, threads, True),
}


def main() -> None:
    program, name, precision, threads = sys.argv[1:5]
    case = CASES[name]
    update = TRAINERS[program](case, precision, int(threads))
    number = 0
    for _ in range(3):  # compile, allocate
        update(number)
        number += 1
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        seconds, done = float(line), 0
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            loss = update(number)
            number += 1
            done += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(
            json.dumps(
                {"tokens_per_second": done * case.steps * case.batch / elapsed, "loss": loss, "peak_bytes": peak}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
