"""Seconds of training until the validation perplexity of the Penn Treebank is down to P, rnnlm beside PyTorch:

    python -m benchmarks.time_to_perplexity corpora/ptb --perplexity 150

Both train the same network (tanh 200, dropout 0.2 around it) by the same recipe: AdamW at 0.003, falling linearly to
0 over `--epochs`, weight decay 0.01 (not of biases), clipping to 5, 20 streams of 35 steps. A quarter of an epoch
goes by between two validations, whose time does not count. One program after the other, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, DROPOUT, RATE, DECAY, CLIP, BATCH, STEPS = 200, 0.2, 0.003, 0.01, 5.0, 20, 35
BETAS = (0.5, 0.999)


class Rnnlm:
    """The updates that training makes."""

    def __init__(self, texts: Texts, precision: str) -> None:
        from rnnlm.config.schema import Config
        from rnnlm.network import build
        from rnnlm.training.optimizers.optimizer import Optimizer

        self.texts = texts
        self.config = Config.model_validate(
            {
                "data": {"train": "none"},
                "embedding": {"size": HIDDEN},
                "model": {"cell": {"type": "elman", "activation": "tanh"}, "hidden": HIDDEN, "dropout": DROPOUT},
                "train": {
                    "bptt": STEPS, "batch": BATCH, "learning_rate": RATE, "clip_norm": CLIP, "precision": precision,
                    "optimizer": {"type": "adamw", "beta1": BETAS[0], "beta2": BETAS[1], "weight_decay": DECAY},
                },
            }
        )  # fmt: skip
        table = np.random.default_rng(1).uniform(-0.1, 0.1, (texts.vocabulary, HIDDEN))
        self.network = build.build(self.config, build.init(self.config, texts.vocabulary, table))
        self.optimizer = Optimizer(self.config.train, self.network.named)
        self.reset()

    def reset(self) -> None:
        self.states = self.network.initial_states(BATCH)

    def update(self, number: int, x: np.ndarray, y: np.ndarray, rate: float) -> None:
        from rnnlm.network.network import Window
        from rnnlm.training.update import TrainingWindow, update

        def carry(trace: Any, loss: float) -> None:
            self.states = self.network.states_after(trace, len(x))

        window = Window(x, np.zeros(x.shape, np.bool_), self.states)
        parts = [TrainingWindow(window, y, len(y), (1, number))]
        update(self.network, self.optimizer, parts, 1, rate, passed=carry)

    def perplexity(self) -> float:
        from rnnlm.network.scoring import mean_loss

        return math.exp(mean_loss(self.network, self.texts.valid, "carry"))


class Torch:
    """The usual script."""

    def __init__(self, texts: Texts, precision: str) -> None:
        import torch
        from torch import nn

        torch.set_num_threads(2)
        torch.manual_seed(1)
        self.torch, self.texts, self.rounded = torch, texts, precision == "bfloat16"

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.table = nn.Embedding(texts.vocabulary, HIDDEN)
                self.cell = nn.RNN(HIDDEN, HIDDEN)
                self.output = nn.Linear(HIDDEN, texts.vocabulary)
                self.dropout = nn.Dropout(DROPOUT)
                nn.init.uniform_(self.table.weight, -0.1, 0.1)
                nn.init.orthogonal_(self.cell.weight_hh_l0)

            def forward(self, x: Any, h: Any) -> Any:
                y, h = self.cell(self.dropout(self.table(x)), h)
                return self.output(self.dropout(y)), h

        self.net = Net()
        matrices = [p for p in self.net.parameters() if p.ndim > 1]
        biases = [p for p in self.net.parameters() if p.ndim == 1]
        groups = [{"params": matrices, "weight_decay": DECAY}, {"params": biases, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS)
        self.reset()

    def reset(self) -> None:
        self.h = self.torch.zeros(1, BATCH, HIDDEN)

    def _loss(self, x: np.ndarray, y: np.ndarray, h: Any, reduction: str) -> tuple[Any, Any]:
        torch = self.torch
        ids = (torch.from_numpy(array.astype(np.int64)) for array in (x, y))
        inputs, targets = ids
        with torch.autocast("cpu", torch.bfloat16, enabled=self.rounded and self.net.training):
            logits, h = self.net(inputs, h)
            logits = logits.reshape(-1, self.texts.vocabulary)
            return torch.nn.functional.cross_entropy(logits, targets.reshape(-1), reduction=reduction), h

    def update(self, number: int, x: np.ndarray, y: np.ndarray, rate: float) -> None:
        self.net.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        loss, h = self._loss(x, y, self.h, "sum")
        (loss / BATCH).backward()
        self.torch.nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        self.optimizer.step()
        self.h = h.detach().float()

    def perplexity(self) -> float:
        self.net.eval()
        inputs, targets = self.texts.valid_ids
        h, total = self.torch.zeros(1, 1, HIDDEN), 0.0
        with self.torch.no_grad():
            for start in range(0, len(inputs), 1024):
                part = slice(start, start + 1024)
                loss, h = self._loss(inputs[part, None], targets[part, None], h, "sum")
                total += float(loss)
        return math.exp(total / len(inputs))


class Texts:
    """The Penn Treebank as rnnlm reads it, and the same ids for PyTorch."""

    def __init__(self, folder: Path, cache: Path) -> None:
        from rnnlm.config.schema import Config
        from rnnlm.corpora import prepare
        from rnnlm.text.streams import equal_streams

        names = {name: str(folder / f"ptb.{name}.txt") for name in ("train", "valid", "test")}
        config = Config.model_validate({"data": {**names, "unit": "word"}, "run": str(cache)})
        paths = _result(prepare.texts(config))
        words = _result(prepare.build_vocabulary(config, paths.train))
        corpora = _result(prepare.encode(config, paths, words))
        self.vocabulary, self.valid = len(words), corpora.valid
        self.streams = equal_streams(corpora.train, BATCH, "carry")
        whole = equal_streams(self.valid, 1, "carry").window(0, len(self.valid))
        self.valid_ids = whole.inputs[:, 0], whole.targets[:, 0]


def _result(work: Any) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value


def train(name: str, precision: str, folder: Path, wanted: float, epochs: int) -> dict[str, Any]:
    """Train until `wanted` or the end; the seconds and the curve."""
    with tempfile.TemporaryDirectory() as cache:
        texts = Texts(folder, Path(cache))
        program: Any = {"rnnlm": Rnnlm, "torch": Torch}[name](texts, precision)
        windows = texts.streams.length // STEPS
        total, quarter = epochs * windows, windows // 4
        seconds, curve = 0.0, []
        began = time.perf_counter()
        for number in range(total):
            start = number % windows * STEPS
            if start == 0:
                program.reset()
            window = texts.streams.window(start, start + STEPS)
            program.update(number, window.inputs, window.targets, RATE * (1 - number / total))
            if number % quarter == quarter - 1:
                seconds += time.perf_counter() - began
                found = program.perplexity()
                curve.append((number + 1, seconds, found))
                print(
                    f"{name} {precision}: {(number + 1) / windows:.2f} epochs, {seconds:.0f} s, {found:.2f}",
                    file=sys.stderr,
                )
                if found <= wanted:
                    break
                began = time.perf_counter()
        return {"seconds": seconds, "perplexity": found, "epochs": (number + 1) / windows, "curve": curve}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ptb", type=Path, help="folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt")
    parser.add_argument("--perplexity", type=float, default=150.0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--programs", nargs="+", default=["rnnlm:float32", "torch:float32", "rnnlm:bfloat16", "torch:bfloat16"]
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # in this process, answering in JSON
    arguments = parser.parse_args()
    if arguments.one:
        name, precision = arguments.programs[0].split(":")
        print(json.dumps(train(name, precision, arguments.ptb, arguments.perplexity, arguments.epochs)))
        return
    print(
        f"| program | seconds to {arguments.perplexity:g} | perplexity there | epochs |\n| --- | ---: | ---: | ---: |"
    )
    for program in arguments.programs:
        command = [
            sys.executable,
            "-m",
            "benchmarks.time_to_perplexity",
            str(arguments.ptb),
            "--one",
            "--programs",
            program,
        ]
        command += ["--perplexity", str(arguments.perplexity), "--epochs", str(arguments.epochs)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        print(
            f"| {program} | {found['seconds']:.0f} | {found['perplexity']:.1f} | {found['epochs']:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
