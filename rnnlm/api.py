"""rnnlm from Python: what the command line does, as functions.

import rnnlm
model = rnnlm.train("configs/quickstart.yaml")
model = rnnlm.load("runs/quickstart")
model.perplexity("the dogs sleep .")
model.surprisal("the dogs sleep .")
model.sample(prompt="the dogs", tokens=20)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.corpora import prepare
from rnnlm.errors import InputError
from rnnlm.evaluation import perplexity as evaluate
from rnnlm.evaluation.perplexity import TokenScore
from rnnlm.evaluation.records import Evaluation
from rnnlm.files import checkpoint
from rnnlm.files.checkpoint import Trained
from rnnlm.gradients import commands as gradient_commands
from rnnlm.gradients.check.records import GradientCheck
from rnnlm.gradients.ledger.records import Ledger
from rnnlm.network import build
from rnnlm.network.parameters import unflatten
from rnnlm.sampling import sample as sampling
from rnnlm.sampling.records import Sampled, Samples
from rnnlm.text import corpus, tokenizer
from rnnlm.text.corpus import Corpus
from rnnlm.training import loop as training
from rnnlm.training import loss_curve
from rnnlm.training.records import End, Start
from rnnlm.work import Note, Task, run_to_end

_T = TypeVar("_T")


def train(config: Config | str | Path, overrides: tuple[str, ...] = (), resume: bool = False) -> LanguageModel:
    """Train as ``rnnlm train`` does, silently, and load the best model.

    Args:
        config: a Config, a YAML file, or the name of one of our recipes; overrides: ``section.key=value``.

    Raises:
        RnnlmError: see ``rnnlm.training.train``.
    """
    if not isinstance(config, Config):
        config = config_file.load(config, overrides)
    run_to_end(training.train(config, resume))
    return load(config.run)


def load(path: str | Path, threads: int | str = "auto") -> LanguageModel:
    """A trained network from a run's folder, its ``model.safetensors`` (the best by validation) or
    ``state.safetensors`` (the last).

    Raises:
        ModelError: not there or damaged.
    """
    return LanguageModel(checkpoint.load(path), threads)


def gradcheck(
    source: str | Path, overrides: tuple[str, ...] = (), text: Path | None = None, **window: Any
) -> GradientCheck:
    """Check every gradient of a configuration's or a trained network, as ``rnnlm gradcheck`` does, silently.

    Args:
        window: steps, batch, at, through, numbers, seed (see ``rnnlm.gradients.commands.gradcheck``).
    """
    return run_to_end(gradient_commands.gradcheck(str(source), overrides, text, **window))


def ledger(model: str | Path, text: str | Path, **window: Any) -> Ledger:
    """From which loss, and from how many steps back, each part of a gradient came, as ``rnnlm gradients`` does,
    silently.

    Args:
        model: a run's folder or a model's file; text: a text (str) or a file (Path).
        window: at, steps, losses, precision (see ``rnnlm.gradients.commands.gradients``).
    """
    if isinstance(text, Path):
        return run_to_end(gradient_commands.gradients(model, text, **window))
    with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
        path = Path(folder) / "text"
        path.write_text(text, encoding="utf-8")
        return run_to_end(gradient_commands.gradients(model, path, **window))


class LanguageModel:
    """A trained network."""

    def __init__(self, trained: Trained, threads: int | str = "auto") -> None:
        self.trained = trained
        self.config = trained.config
        self.vocabulary = trained.vocabulary
        self.network = build.build(trained.config, unflatten(trained.parameters), threads)

    @property
    def parameters(self) -> dict[str, Any]:
        """The tensors by name, as in ``model.safetensors``."""
        return self.trained.parameters

    def perplexity(self, text: str, state: str | None = None) -> float:
        """Perplexity of a text, its line ends counted and unknown words scored as <unk>."""
        return self.evaluate(text, state).perplexity

    def evaluate(self, text: str | Path, state: str | None = None) -> Evaluation:
        """Perplexity and all that it stands on, of a text (str) or a file (Path).

        Args:
            state: "carry" or "reset"; None: as in training.
        """
        return run_to_end(self.evaluating(text, state))

    def surprisal(self, text: str, state: str | None = None) -> list[TokenScore]:
        """Every token with its surprisal in bits, the first one and each line end included."""
        tokens = self._tokens(text)
        found: list[Any] = list(
            evaluate.per_token(self.network, self._corpus(text), iter(tokens), state or self.config.train.state)
        )
        return found

    def sample(self, prompt: str = "", tokens: int = 100, samples: int = 1, **settings: Any) -> Any:
        """A text that the network writes after `prompt`, or with `samples` > 1 a list of them.

        Args:
            settings: temperature, top_k, top_p, min_p, repetition_penalty, seed, unk, stop_at_line_end (see
                ``rnnlm.sample.Settings``).
        """
        chosen = sampling.Settings(tokens=tokens, samples=samples, **settings)
        texts = self.write(prompt, chosen)
        return texts[0] if samples == 1 else texts

    def write(self, prompt: str, settings: sampling.Settings) -> list[str]:
        """The samples, each with the prompt before it."""
        joiners = [tokenizer.Joiner(self.config.data.unit, prompt) for _ in range(settings.samples)]
        texts = [prompt] * settings.samples
        for record in self.sampling(prompt, settings):
            if isinstance(record, Sampled):
                for i, piece in enumerate(record.pieces):
                    texts[i] += "" if piece is None else joiners[i].add(piece)
        return [text + joiner.rest() for text, joiner in zip(texts, joiners, strict=True)]

    def sampling(self, prompt: str, settings: sampling.Settings) -> Iterator[Note | Sampled]:
        """What `write` does, a step at a time."""
        return sampling.sample(self.network, self.vocabulary, prompt, self.config.train.state, settings)

    def evaluating(
        self, text: str | Path | None, state: str | None = None, per_token: Path | None = None
    ) -> Task[Evaluation]:
        """`evaluate` as a generator of records; `text` None: the test text of the configuration; `per_token`: write a
        TSV there."""
        state = state or self.config.train.state
        own = text is None
        where = self.own_text() if text is None else text
        with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
            if isinstance(where, Path):
                encoded = yield from corpus.encode(where, self.vocabulary, folder)
            else:
                encoded = self._corpus(where)
            yield from prepare.check_coverage(encoded)
            if per_token is None:
                result = yield from evaluate.evaluate(self.network, encoded, state)
            else:
                tokens = (
                    evaluate.file_tokens(where, self.vocabulary)
                    if isinstance(where, Path)
                    else iter(self._tokens(where))
                )
                result = yield from evaluate.per_token(self.network, encoded, tokens, state, per_token)
            # A mapped file cannot be removed on every system.
            del encoded
        lowest = self.trained.training.get("lowest_perplexity") if own else None
        return replace(result, lowest_perplexity=lowest)

    def test_text(self) -> Path | None:
        """The test text of the run, None where it has none or it is not there."""
        data = self.config.data
        path = data.test if data.train is not None else self.trained.path.parent / "text" / "test.txt"
        return Path(path) if path is not None and Path(path).exists() else None

    def own_text(self) -> Path:
        """The run's own text to score: the test text, or where there is none the validation text.

        Raises:
            InputError: neither is there.
        """
        data = self.config.data
        valid = data.valid if data.train is not None else self.trained.path.parent / "text" / "valid.txt"
        found = self.test_text() or (Path(valid) if valid is not None and Path(valid).exists() else None)
        if found is None:
            raise InputError(f"{self.trained.path}: the run's own test text is not there (any more); give a TEXT")
        return found

    def _tokens(self, text: str) -> Any:
        unit = self.config.data.unit
        return tokenizer.with_line_end(tokenizer.split(text, unit, self.vocabulary.lowercase), unit)

    def _corpus(self, text: str) -> Corpus:
        characters = len(text.replace("\r\n", "\n")) if self.config.data.unit != "byte" else len(text)
        return corpus.from_tokens(self._tokens(text), characters, self.vocabulary, "text")


def run(
    config: Config, resume: bool = False, stop: Callable[[], bool] = lambda: False, restart: bool = False
) -> Task[dict[str, Any]]:
    """All of ``rnnlm train``, as records: training, a picture of the loss where matplotlib is there (a Note), three
    samples of the best model (Samples), its perplexity on the test text (an Evaluation). Returns the results as plain
    data."""
    result: dict[str, Any] = {}
    started = False
    for record in training.train(config, resume, stop, restart):
        started = started or isinstance(record, Start)
        if stop() and not started:
            raise KeyboardInterrupt  # nothing to keep yet
        if isinstance(record, End):
            result = {key: value for key, value in asdict(record).items() if key != "event"}
        yield record
    picture = loss_curve.draw(Path(config.run))
    if picture is not None:
        yield Note(f"the loss as a picture: {picture}")
    if result["reason"] == "interrupted":
        return result
    model = load(config.run, config.train.threads)
    line = config.data.unit == "word"
    settings = sampling.Settings(tokens=40 if line else 200, samples=3, seed=config.train.seed, stop_at_line_end=line)
    samples = Samples(tuple(model.write("", settings)))
    yield samples
    result["samples"] = list(samples.texts)
    if model.test_text() is not None:
        evaluation = yield from _until(stop, model.evaluating(None))
        yield evaluation
        result["test"] = evaluation.json()
    return result


def _until(stop: Callable[[], bool], work: Task[_T]) -> Task[_T]:
    """`work`, ended by KeyboardInterrupt as soon as `stop` says so."""
    while True:
        try:
            record = next(work)
        except StopIteration as end:
            result: _T = end.value
            return result
        if stop():
            raise KeyboardInterrupt
        yield record
