"""One program on one case in a process of its own: trains (or evaluates, or samples) when told to, and says how fast.

    python -m benchmarks.worker rnnlm C float32 2 train [TEXT]

Reads a number of seconds a line; answers with a JSON object a line.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases import CASES, Case

_WINDOWS = 40  # different ones, read again and again


def _rnnlm_network(case: Case, precision: str, threads: int, output: Any = "softmax") -> Any:
    from rnnlm.network import build

    config = case.config(precision, threads, output)
    table = np.random.default_rng(0).standard_normal((case.vocabulary, case.hidden), np.float32)
    table *= np.float32(0.1)
    parameters = build.init(config, case.vocabulary, table)
    return build.build(config, parameters, words=_words(case))


def _words(case: Case) -> Any:
    """A vocabulary with the case's counts."""
    from rnnlm.text.vocabulary import Vocabulary

    words = [*(f"w{i}" for i in range(case.vocabulary - 2)), "<unk>", "</s>"]
    return Vocabulary(words, case.counts(), "word", False)


def _window(case: Case, ids: Any, number: int) -> tuple[Any, Any]:
    """Inputs and targets of window `number`, steps x batch."""
    start = number % _WINDOWS * case.steps
    return ids[start : start + case.steps], ids[start + 1 : start + case.steps + 1]


def rnnlm_trainer(
    case: Case, precision: str, threads: int, output: Any = "softmax", begin: Callable[[Any], None] | None = None
) -> Callable[[int], float]:
    """The update that training makes: forward, backward, clip, sgd. begin: called with the network."""
    from rnnlm.network.network import Window
    from rnnlm.training.optimizers.optimizer import Optimizer
    from rnnlm.training.update import TrainingWindow, update

    network = _rnnlm_network(case, precision, threads, output)
    if begin is not None:
        begin(network)
    settings = network.config.train
    optimizer = Optimizer(settings, network.named)
    ids = case.ids(_WINDOWS)
    reset = np.zeros((case.steps, case.batch), np.bool_)
    states = network.initial_states(case.batch)

    def carry(trace: Any, loss: float) -> None:
        nonlocal states
        states = network.states_after(trace, case.steps)

    def train(number: int) -> float:
        x, y = _window(case, ids, number)
        window = TrainingWindow(Window(x, reset, states), y, case.steps, (0, number))
        made = update(network, optimizer, [window], 1, settings.learning_rate, passed=carry)
        return made.loss / (case.steps * case.batch)

    return train


def _torch_network(case: Case, threads: int) -> Any:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(case.vocabulary, case.hidden)
            assert case.activation == "tanh", "nn.RNN has no sigmoid"
            module = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[case.cell]
            self.cell = module(case.hidden, case.hidden)
            self.output = nn.Linear(case.hidden, case.vocabulary)
            nn.init.normal_(self.table.weight, 0, 0.1)

        def forward(self, x: Any, h: Any) -> Any:
            y, h = self.cell(self.table(x), h)
            return self.output(y), h

    return Net()


def _torch_start(case: Case, streams: int) -> Any:
    import torch

    h = torch.zeros(1, streams, case.hidden)
    return (h, h.clone()) if case.cell == "lstm" else h


def _carried(state: Any) -> Any:
    """The state for the next window: float32, and no gradient goes back through it."""
    return tuple(_carried(part) for part in state) if isinstance(state, tuple) else state.detach().float()


def torch_trainer(case: Case, precision: str, threads: int, compiled: bool = False) -> Callable[[int], float]:
    """The same network and recipe from PyTorch's own modules."""
    import torch
    from torch import nn

    net = _torch_network(case, threads)
    called = torch.compile(net) if compiled else net
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    ids = torch.from_numpy(case.ids(_WINDOWS).astype(np.int64))
    h = _torch_start(case, case.batch)

    def update(number: int) -> float:
        nonlocal h
        x, y = _window(case, ids, number)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits, last = called(x, h)
            loss = nn.functional.cross_entropy(logits.reshape(-1, case.vocabulary), y.reshape(-1), reduction="sum")
        (loss / case.batch).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        h = _carried(last)
        return loss.item() / (case.steps * case.batch)

    return update


def torch_adaptive_trainer(case: Case, precision: str, threads: int) -> Callable[[int], float]:
    """The same network with ``nn.AdaptiveLogSoftmaxWithLoss``, with rnnlm's cutoffs, factor and bias of the head."""
    import torch
    from torch import nn

    from rnnlm.network.outputs.adaptive import cutoffs

    net = _torch_network(case, threads)
    net.output = nn.AdaptiveLogSoftmaxWithLoss(
        case.hidden, case.vocabulary, list(cutoffs.choose(case.vocabulary)), div_value=4.0, head_bias=True
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    ids = torch.from_numpy(case.ids(_WINDOWS).astype(np.int64))
    h = _torch_start(case, case.batch)

    def update(number: int) -> float:
        nonlocal h
        x, y = _window(case, ids, number)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            seen, last = net.cell(net.table(x), h)
            loss = -net.output(seen.reshape(-1, case.hidden), y.reshape(-1)).output.sum()
        (loss / case.batch).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        h = _carried(last)
        return float(loss.item()) / (case.steps * case.batch)

    return update


def rnnlm_evaluator(case: Case, precision: str, threads: int) -> Callable[[int], float]:
    """What ``rnnlm eval`` does with a text whose state is carried on, from its first token to its last."""
    from rnnlm.network.scoring import mean_loss
    from rnnlm.text import corpus

    network, vocabulary = _rnnlm_network(case, precision, threads), _words(case)
    tokens = [vocabulary.tokens[id] for id in case.ids(_WINDOWS).T.reshape(-1)]
    text = corpus.from_tokens(tokens, len(tokens), vocabulary, "text")

    def evaluate(number: int) -> float:
        return mean_loss(network, text, "carry")

    evaluate.tokens = len(text)  # type: ignore[attr-defined]
    return evaluate


def torch_evaluator(case: Case, precision: str, threads: int, compiled: bool = False) -> Callable[[int], float]:
    """The same from PyTorch's modules, in the windows that it is trained in: faster there than one stream."""
    import torch
    from torch import nn

    net = _torch_network(case, threads)
    called = torch.compile(net) if compiled else net
    ids = torch.from_numpy(case.ids(_WINDOWS).astype(np.int64))
    h = _torch_start(case, case.batch)

    def evaluate(number: int) -> float:
        nonlocal h
        x, y = _window(case, ids, number)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits, h = called(x, h)
            h = _carried(h)
            return float(nn.functional.cross_entropy(logits.reshape(-1, case.vocabulary), y.reshape(-1)))

    evaluate.tokens = case.steps * case.batch  # type: ignore[attr-defined]
    return evaluate


def rnnlm_sampler(case: Case, precision: str, threads: int, streams: int) -> Callable[[int], float]:
    """What ``rnnlm sample`` does for a token, without the text."""
    from rnnlm.network.decoder import Decoder
    from rnnlm.network.protocols import Draw

    network = _rnnlm_network(case, precision, threads)
    decoder = Decoder(network, network.initial_states(streams))
    generators = [np.random.default_rng(i) for i in range(streams)]

    def sample(number: int) -> float:
        uniforms = np.array([generator.random() for generator in generators])
        decoder.step(decoder.draw(Draw(1.0, uniforms)))
        return 0.0

    sample.tokens = streams  # type: ignore[attr-defined]
    return sample


def torch_sampler(case: Case, precision: str, threads: int, streams: int) -> Callable[[int], float]:
    """The usual loop: one step of the module, softmax, multinomial."""
    import torch

    net = _torch_network(case, threads)
    h, x = _torch_start(case, streams), torch.zeros(1, streams, dtype=torch.int64)

    def sample(number: int) -> float:
        nonlocal h, x
        with torch.inference_mode():
            logits, h = net(x, h)
            x = torch.multinomial(torch.softmax(logits[0], dim=1), 1).reshape(1, streams)
        return 0.0

    sample.tokens = streams  # type: ignore[attr-defined]
    return sample


def _nce(samples: int) -> dict[str, Any]:
    return {"type": "sampled", "objective": "nce", "samples": samples}


MAKERS: dict[tuple[str, str], Callable[[Case, str, int], Callable[[int], float]]] = {
    ("rnnlm", "train"): rnnlm_trainer,
    ("torch", "train"): torch_trainer,
    ("adaptive", "train"): lambda *about: rnnlm_trainer(*about, output="adaptive"),
    ("sampled", "train"): lambda *about: rnnlm_trainer(*about, output="sampled"),
    ("nce", "train"): lambda *about: rnnlm_trainer(*about, output=_nce(1000)),
    ("nce200", "train"): lambda *about: rnnlm_trainer(*about, output=_nce(200)),
    ("nce50", "train"): lambda *about: rnnlm_trainer(*about, output=_nce(50)),
    ("classes", "train"): lambda *about: rnnlm_trainer(*about, output="classes"),
    ("hierarchical", "train"): lambda *about: rnnlm_trainer(*about, output="hierarchical"),
    ("torch-adaptive", "train"): torch_adaptive_trainer,
    ("compiled", "train"): lambda *about: torch_trainer(*about, compiled=True),
    ("rnnlm", "evaluate"): rnnlm_evaluator,
    ("torch", "evaluate"): torch_evaluator,
    ("compiled", "evaluate"): lambda *about: torch_evaluator(*about, compiled=True),
    ("rnnlm", "sample1"): lambda *about: rnnlm_sampler(*about, streams=1),
    ("torch", "sample1"): lambda *about: torch_sampler(*about, streams=1),
    ("rnnlm", "sample64"): lambda *about: rnnlm_sampler(*about, streams=64),
    ("torch", "sample64"): lambda *about: torch_sampler(*about, streams=64),
}


def main() -> None:
    program, name, precision, threads, task = sys.argv[1:6]
    case = dataclasses.replace(CASES[name], text=sys.argv[6] if len(sys.argv) > 6 else None)
    step = MAKERS[program, task](case, precision, int(threads))
    tokens = getattr(step, "tokens", case.steps * case.batch)
    number = 0
    for _ in range(3):  # compile, allocate
        step(number)
        number += 1
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        seconds, done = float(line), 0
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            loss = step(number)
            number += 1
            done += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(
            json.dumps({"tokens_per_second": done * tokens / elapsed, "loss": loss, "peak_bytes": peak}), flush=True
        )


if __name__ == "__main__":
    main()
