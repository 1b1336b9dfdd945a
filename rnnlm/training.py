"""Truncated backpropagation through time: the loop.

The training text is cut into B streams. An update takes the next ``bptt_every`` tokens of each: the window reaches
``bptt`` steps back from their end, starts from the hidden state that stood there, and has a loss for the new tokens
only (``loss: last``: for the last one), so every token's loss counts once and its gradient goes at least ``bptt -
bptt_every`` and at most ``bptt - 1`` steps back (Williams & Peng 1990, "BPTT(h; h')").

    J = sum over the new steps of J(t), averaged over the B streams;  w := update(w, clip(dJ/dw), learning rate)

So the gradient is a sum over time, and with the usual sgd recipes (Zaremba et al. 2014: learning rate 1, clip 5)
means what it means there; it is not divided by the number of steps.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnnlm import checkpoint, config_file, memory, model, prepare, storage
from rnnlm.checkpoint import MODEL, STATE, Position
from rnnlm.config import Config
from rnnlm.errors import ModelError, NotFiniteError
from rnnlm.kernels.jit import use_threads
from rnnlm.model import Network
from rnnlm.optim import Gradients, Optimizer
from rnnlm.records import Checkpoint, End, Note, Start, Step, Valid, Work, log_line
from rnnlm.schedule import learning_rate
from rnnlm.scoring import score
from rnnlm.text.corpus import Corpus, Streams, equal_streams
from rnnlm.text.vocabulary import Vocabulary


def train(config: Config, resume: bool = False, stop: Callable[[], bool] = lambda: False) -> Work[prepare.Corpora]:
    """Train a network. Yields records as it goes; `stop` is asked after every update and ends the run with a
    checkpoint.

    Returns:
        prepare.Corpora, the encoded texts (a generator's return value).

    Raises:
        InputError: something of the configuration, the texts or the run's folder that the user can mend.
        NotFiniteError: the loss or the gradient is not finite; the last checkpoint stays.
        ResourceError: too little memory or disk.
    """
    run = yield from _Run.open(config, resume)
    yield run.start()
    saved = time.monotonic()
    started = saved - run.at.seconds
    try:
        while not run.at.finished:
            norm, rate = run.update()
            run.at.seconds = time.monotonic() - started
            if run.at.step % config.train.log_every == 0:
                yield run.log(run.progress(norm, rate))
            if run.at.offset == run.streams.length:
                valid = run.end_epoch(rate)
                run.at.seconds = time.monotonic() - started
                if valid:
                    yield run.log(valid)
            run.finish_if_done()
            interrupted = not run.at.finished and stop()
            if run.at.finished or interrupted or run.at.offset == 0 or run.checkpoint_due(time.monotonic() - saved):
                saved = time.monotonic()
                yield run.log(run.save())
            if interrupted:
                break
        yield run.log(run.end())
    finally:
        run.close()
    return run.corpora


class _Run:
    """Everything that one run holds; its methods are the steps of the loop above."""

    def __init__(
        self, config: Config, corpora: prepare.Corpora, vocabulary: Vocabulary, lowest: float | None,
        network: Network, optimizer: Optimizer,
    ) -> None:  # fmt: skip
        self.config, self.settings = config, config.train
        self.corpora, self.vocabulary, self.lowest = corpora, vocabulary, lowest
        self.network, self.optimizer = network, optimizer
        self.folder = Path(config.run)
        self.streams: Streams = equal_streams(corpora.train, self.settings.batch, self.settings.state)
        self.states = network.zero_state(self.streams.batch)
        self.at = Position(corpus=corpora.train.key)
        self.steps_per_epoch = math.ceil(self.streams.length / self.settings.stride)
        self.total_steps = self.settings.epochs * self.steps_per_epoch
        if self.settings.max_steps is not None:
            self.total_steps = min(self.total_steps, self.settings.max_steps)
        self._last_seconds = 0.0

    @classmethod
    def open(cls, config: Config, resume: bool) -> Work[_Run]:
        """Prepare a new run or take up one that was stopped. Returns a _Run."""
        folder = Path(config.run)
        old = _old_run(config, resume)
        if resume and old is None:
            yield Note(f"{folder}: no checkpoint yet, so the run starts from the beginning")
        paths = yield from prepare.texts(config)
        vocabulary = old.vocabulary if old else (yield from prepare.build_vocabulary(config, paths.train))
        corpora = yield from prepare.encode(config, paths, vocabulary)
        need = memory.needs(config, len(vocabulary), _tokens(corpora), use_threads(config.train.threads))
        memory.check(config, need)
        if old is None:
            table = yield from prepare.embedding_table(config, corpora.train, vocabulary)
            parameters = model.init(config, len(vocabulary), table)
        else:
            parameters = {name: value.copy() for name, value in old.parameters.items()}
        network = Network(config, parameters)
        run = cls(config, corpora, vocabulary, paths.lowest, network, Optimizer(config.train, parameters))
        if old is not None:
            run.states, run.at = checkpoint.restore(old, run.optimizer)
            if run.at.corpus != corpora.train.key:
                raise ModelError(
                    f"{paths.train}: not the text that {folder} was trained on; take another folder with --run"
                )
            # The text may be the same and the plan longer: more epochs than before end nothing.
            run.at.finished = ""
            run.finish_if_done()
            yield Note(f"{folder}: goes on after step {run.at.step:,} (epoch {run.at.epoch + 1})")
        storage.write_text(folder / "config.yaml", config_file.dump(config))
        vocabulary.save(folder / "vocab.txt")
        run._open_log()
        return run

    def start(self) -> Start:
        parameters = sum(parameter.size for parameter in self.network.parameters.values())
        tokens = self.streams.length * self.streams.batch
        return Start(
            self.at.step, self.at.epoch, self.settings.epochs, self.steps_per_epoch, self.total_steps, tokens,
            parameters, self.network.workers,
        )  # fmt: skip

    def update(self) -> tuple[float, float]:
        """One window: forward, backward, one step of the optimizer. Returns the gradient's norm and the learning
        rate."""
        at, settings = self.at, self.settings
        stop = min(at.offset + settings.stride, self.streams.length)
        loss_steps = 1 if settings.loss == "last" else stop - at.offset
        window = self.streams.window(at.window, stop)
        self.network.forward(window.inputs, window.reset, self.states, mask=(settings.seed, at.step))
        loss, gradients = self.network.backward(window.targets, loss_steps)
        norm, factor = self.optimizer.clip(gradients, self.network.workers)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise NotFiniteError(self._explain_not_finite(loss, gradients))
        rate = learning_rate(settings, at.step, self.total_steps, at.halvings)
        self.optimizer.update(gradients, rate, factor, self.network.workers)

        next_window = max(at.window, stop - (settings.bptt - settings.stride))
        self.states = self.network.states_after(next_window - at.window, self.states)
        at.tokens += (stop - at.offset) * self.streams.batch
        at.window, at.offset = next_window, stop
        at.step += 1
        counted = loss_steps * self.streams.batch
        at.epoch_loss += loss
        at.epoch_tokens += counted
        at.since_loss += loss
        at.since_tokens += counted
        return norm, rate

    def progress(self, norm: float, rate: float) -> Step:
        """The record of the steps since the last one."""
        at = self.at
        loss = at.since_loss / at.since_tokens
        speed = at.since_tokens / max(1e-9, at.seconds - self._last_seconds)
        self._last_seconds = at.seconds
        at.since_loss, at.since_tokens = 0.0, 0
        return Step(at.step, at.epoch, at.tokens, at.seconds, loss, _exp(loss), speed, rate, norm)

    def end_epoch(self, rate: float) -> Valid | None:
        """Validate, keep the best model, decide about the learning rate; None without a validation text."""
        at, settings = self.at, self.settings
        at.epoch += 1
        at.offset = at.window = 0
        self.states = self.network.zero_state(self.streams.batch)
        train_loss = at.epoch_loss / at.epoch_tokens
        at.epoch_loss, at.epoch_tokens = 0.0, 0
        if self.corpora.valid is None:
            return None
        began = time.monotonic()
        loss = mean_loss(self.network, self.corpora.valid, settings.state)
        seconds = time.monotonic() - began
        perplexity = _exp(loss)
        best = at.best is None or perplexity < at.best
        if at.best is not None and perplexity > at.best * (1 - settings.min_improvement):
            at.halvings += 1
        if best:
            at.best, at.best_epoch, at.stale = perplexity, at.epoch, 0
            self._save_model()
        else:
            at.stale += 1
        tokens = len(self.corpora.valid)
        self._last_seconds = at.seconds + seconds
        return Valid(
            at.step,
            at.epoch,
            at.tokens,
            at.seconds,
            loss,
            perplexity,
            tokens / max(1e-9, seconds),
            rate,
            _exp(train_loss),
            best,
        )

    def finish_if_done(self) -> None:
        at, settings = self.at, self.settings
        if settings.max_steps is not None and at.step >= settings.max_steps:
            at.finished = "max_steps"
        elif at.epoch >= settings.epochs:
            at.finished = "epochs"
        elif settings.patience is not None and at.stale >= settings.patience:
            at.finished = "patience"

    def end(self) -> End:
        at = self.at
        return End(at.step, at.epoch, at.tokens, at.seconds, at.finished or "interrupted", at.best, self.config.run)

    def checkpoint_due(self, seconds: float) -> bool:
        settings = self.settings
        by_steps = settings.checkpoint_every is not None and self.at.step % settings.checkpoint_every == 0
        return by_steps or (settings.checkpoint_minutes is not None and seconds >= 60 * settings.checkpoint_minutes)

    def save(self) -> Checkpoint:
        """Write the state; without any validation so far the last weights are also the model."""
        if self.at.best is None:
            self._save_model()
        path = self.folder / STATE
        checkpoint.save_state(
            path, self.config, self.vocabulary, self.optimizer, self.states, self.at, self._training()
        )
        return Checkpoint(self.at.step, self.at.epoch, self.at.tokens, self.at.seconds, str(path))

    def _save_model(self) -> None:
        checkpoint.save_model(
            self.folder / MODEL, self.config, self.vocabulary, self.network.parameters, self._training()
        )

    def _training(self) -> dict[str, Any]:
        at = self.at
        return {
            "step": at.step,
            "epoch": at.epoch,
            "best_validation_perplexity": at.best,
            "best_epoch": at.best_epoch or None,
            "lowest_perplexity": self.lowest,
        }

    def _explain_not_finite(self, loss: float, gradients: Gradients) -> str:
        arrays = [*self.network.parameters.items()] + [(f"the gradient of {n}", a) for n, a in gradients.arrays()]
        culprits = [name for name, array in arrays if not np.isfinite(array).all()]
        state = self.folder / STATE
        kept = f"the last checkpoint is {state}" if state.exists() else "there was no checkpoint yet"
        return (
            f"step {self.at.step + 1}: not finite: the loss is {loss:g}; {', '.join(culprits[:3]) or 'no parameter'} "
            f"{'has' if len(culprits) == 1 else 'have'} numbers that are not finite; {kept}; "
            f"lower train.learning_rate ({self.settings.learning_rate:g}) or train.clip ({self.settings.clip})"
        )

    def _open_log(self) -> None:
        """Append to log.jsonl; a run that goes on first drops what came after its checkpoint."""
        path = self.folder / "log.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() and self.at.step else []
        storage.write_text(path, "".join(f"{line}\n" for line in lines if _logged_step(line) <= self.at.step))
        self._log = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def log(self, record: Any) -> Any:
        self._log.write(json.dumps(_finite(log_line(record))) + "\n")
        self._log.flush()
        return record

    def close(self) -> None:
        self._log.close()


def mean_loss(network: Network, corpus: Corpus, state: str) -> float:
    """Nats a token over the whole text."""
    total = sum(float(part.log_probability.sum()) for part in score(network, corpus, state))
    return -total / len(corpus)


def _old_run(config: Config, resume: bool) -> checkpoint.Trained | None:
    """The state to go on from, None for a new run.

    Raises:
        ModelError: the folder holds a run and `resume` was not asked for, or its state is damaged.
        ConfigError: the folder's run has another configuration.
    """
    folder = Path(config.run)
    if not (folder / STATE).exists():
        if not resume and (folder / MODEL).exists():
            raise ModelError(f"{folder}: holds a model already; choose another folder with --run, or remove it")
        return None
    old = checkpoint.load(folder / STATE)
    checkpoint.check_same(config, old)
    if not resume:
        step = old.training["position"]["step"]
        raise ModelError(
            f"{folder}: holds a run already (step {step:,}); --resume goes on with it, --run DIR starts another, "
            "--restart throws it away"
        )
    return old


def remove_run(config: Config) -> None:
    """Throw away what an earlier run left in the folder; nothing else that lies there."""
    folder = Path(config.run)
    for name in (MODEL, STATE, "config.yaml", "vocab.txt", "log.jsonl", "loss.png"):
        (folder / name).unlink(missing_ok=True)
    for name in ("cache", "text"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _tokens(corpora: prepare.Corpora) -> int:
    return sum(len(c) for c in (corpora.train, corpora.valid, corpora.test) if c is not None)


def _logged_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _finite(values: dict[str, Any] | None) -> dict[str, Any] | None:
    """JSON has no infinity: a perplexity too large for a float is left out."""
    if values is None:
        return None
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _exp(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf
