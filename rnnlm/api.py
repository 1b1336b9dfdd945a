"""The Python interface: training, loading, gradient checks and ledgers as functions.

import rnnlm

model = rnnlm.train("configs/quickstart.yaml")
model = rnnlm.load("runs/quickstart")
model.perplexity("the dogs sleep")
model.surprisal("the dogs sleep")
model.sample(prompt="the dogs", tokens=20)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rnnlm import pipeline
from rnnlm.config import encodings
from rnnlm.config import file as config_file
from rnnlm.config.encodings import UTF_8
from rnnlm.config.schema import Config
from rnnlm.errors import in_python
from rnnlm.files import model_file
from rnnlm.gradients import commands as gradient_commands
from rnnlm.gradients.check.records import GradientCheck
from rnnlm.gradients.ledger.records import Ledger
from rnnlm.interrupt import interrupts
from rnnlm.kernels.matmul.blas_threads import one_blas_thread
from rnnlm.language_model import LanguageModel, check_text
from rnnlm.training.records import Record
from rnnlm.work import run_to_end

__all__ = ["LanguageModel", "gradcheck", "ledger", "load", "train"]


@in_python()
def train(
    config: Config | str | Path | Mapping[str, object],
    overrides: Sequence[str] | Mapping[str, object] = (),
    resume: bool = False,
    restart: bool = False,
    progress: Callable[[Record], object] | None = None,
) -> LanguageModel:
    """Train as ``rnnlm train`` does, silently, and load the best model.

    Ctrl-C (a notebook's stop, too) ends it after the update, with a checkpoint to go on from.

    Args:
        config: a YAML file, the name of one of our recipes, a dict of the sections, or a Config.
        overrides: ``section.key=value`` texts, or a dict: ``{"train.epochs": 3, "model": {"hidden": 64}}``.
        resume: go on with a run that was stopped; restart: throw away the run that the folder holds.
        progress: called with each record of the training (``rnnlm.training.records``): an Updates every
            ``train.log.every_updates`` updates, a Valid at every validation ...

    Raises:
        RnnlmError: see ``rnnlm.training.loop.train``.
        KeyboardInterrupt: when the checkpoint is saved; at once at a second Ctrl-C.
    """
    if not isinstance(config, Config):
        config = config_file.load(config, overrides)
    elif overrides:
        config = config_file.load(config.model_dump(), overrides)
    with one_blas_thread(), interrupts() as stop:
        end = run_to_end(pipeline.train(config, resume, stop, restart), progress)
    if end.reason == "interrupted":
        raise KeyboardInterrupt
    return load(config.run)


@in_python()
def load(path: str | Path, threads: int | str = "auto", initial_state: str = "model") -> LanguageModel:
    """A trained network from a run's folder, its ``model.safetensors`` (the best by validation) or
    ``state.safetensors`` (the last).

    Args:
        threads: a number, or "auto".
        initial_state: what a text begins with, "model" (the state that the file holds; 0 where it holds none) or
            "zero".

    Raises:
        ModelError: not there or damaged; InputError: another initial_state.
    """
    return LanguageModel(model_file.load(path), threads, initial_state)


@in_python()
def gradcheck(
    source: str | Path,
    *,
    overrides: Sequence[str] | Mapping[str, object] = (),
    text: str | None = None,
    path: str | Path | None = None,
    steps: int | None = None,
    batch: int | None = None,
    at: int | None = None,
    through: int | Literal["all"] | None = None,
    numbers: int = 40,
    seed: int = 1,
    encoding: str = UTF_8,
) -> GradientCheck:
    """Check every gradient of a configuration's or a trained network, as ``rnnlm gradcheck`` does, silently.

    Args:
        source: a YAML file, a recipe's name, a run's folder or a model's file.
        overrides: as for `train`, for a configuration.
        text: a text; path: a text file. Neither: the training text.
        steps, batch: of the window; None: as in training, and at most 2 streams.
        at: tokens before the window in each stream; None: two windows, or five where `through` is given.
        through: also take the derivative through so many steps before the window, or "all" of them.
        numbers: how many numbers of each parameter are compared one by one.
        seed: of the choice of these numbers. encoding: of the text file, by Python's name.

    Raises:
        InputError, TextError: see ``rnnlm.gradients.commands.gradcheck``.
        TypeError: both text and path.
    """
    check_text(text, path, needed=False)
    read_as = UTF_8 if path is None else encodings.option(encoding)
    with _text_file(text, path) as file, one_blas_thread():
        return run_to_end(
            gradient_commands.gradcheck(
                str(source), overrides, file, steps, batch, at, through, numbers, seed, read_as
            )
        )


@in_python()
def ledger(
    model: str | Path,
    *,
    text: str | None = None,
    path: str | Path | None = None,
    at: int = 0,
    steps: int | None = None,
    losses: int | None = None,
    precision: str | None = None,
    encoding: str = UTF_8,
) -> Ledger:
    """The ledger: a gradient split by loss and by time lag, as ``rnnlm gradients`` makes it, silently.

    Args:
        model: a run's folder or a model's file.
        text: a text; path: a text file. One of them.
        at: tokens of the text before the window; steps: of the window (None: as in training).
        losses: how many of the window's last steps have a loss (None: as in training).
        precision: of the kernels, "float32" or "float64"; None: the model's own.
        encoding: of the text file, by Python's name.

    Raises:
        InputError, TextError: see ``rnnlm.gradients.commands.gradients``.
        TypeError: neither text nor path, or both.
    """
    check_text(text, path)
    read_as = UTF_8 if path is None else encodings.option(encoding)
    with _text_file(text, path) as file, one_blas_thread():
        assert file is not None
        return run_to_end(gradient_commands.gradients(model, file, at, steps, losses, precision, read_as))


@contextmanager
def _text_file(text: str | None, path: str | Path | None) -> Iterator[Path | None]:
    """The text as a file, None where there is neither."""
    if text is None:
        yield None if path is None else Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
        file = Path(folder) / "text"
        file.write_text(text, encoding="utf-8")
        yield file
