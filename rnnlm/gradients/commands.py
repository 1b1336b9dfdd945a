"""Tasks of ``rnnlm gradcheck``, ``gradients`` and ``derive``: generators of records."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from rnnlm.config import file as config_file
from rnnlm.config.encodings import UTF_8
from rnnlm.config.file import Overrides
from rnnlm.config.network import Lstm
from rnnlm.config.schema import Config
from rnnlm.errors import InputError, ModelError
from rnnlm.files import model_file
from rnnlm.gradients import source, window
from rnnlm.gradients.check import check
from rnnlm.gradients.check.records import GradientCheck
from rnnlm.gradients.derivation import gated, own_numbers, scalar, through_time
from rnnlm.gradients.derivation import vector as derive
from rnnlm.gradients.derivation.formula import names
from rnnlm.gradients.derivation.formula.check import check as check_formula
from rnnlm.gradients.derivation.own_numbers import Own
from rnnlm.gradients.derivation.records import FormulaCheck, Heading, Quantity, Remark
from rnnlm.gradients.derivation.scalar_names import ScalarNames
from rnnlm.gradients.derivation.unrolled import Unrolled
from rnnlm.gradients.ledger import ledger
from rnnlm.gradients.ledger.records import Ledger, Side
from rnnlm.gradients.source import Source
from rnnlm.network import build
from rnnlm.network.network import Network
from rnnlm.network.parameters import unflatten
from rnnlm.text import tokenizers
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import equal_streams, line_streams
from rnnlm.work import Note, Task

Derivation = Iterator[Heading | Remark | Quantity]
# The largest side of a matrix whose formulas are checked.
_LARGEST = 64


def gradcheck(
    path: str,
    overrides: Overrides = (),
    text: Path | None = None,
    steps: int | None = None,
    batch: int | None = None,
    at: int | None = None,
    through: int | str | None = None,
    numbers: int = 40,
    seed: int = 1,
    encoding: str = UTF_8,
) -> Task[GradientCheck]:
    """Check a configuration's or a trained network's gradients on a window of its training text (or of `text`).

    Args:
        path: a YAML file, a recipe's name, a run's folder or a model's file; overrides: for a configuration.
        steps, batch: of the window; None: as in training, and at most 2 streams. The steps with a loss are those of
            training.
        at: tokens before the window in each stream; None: two windows, or five where `through` is given.
        through: also take the derivative through so many steps before the window, or "all" of them.
        encoding: of `text`, a codec's name.

    Raises:
        InputError: see ``source``; TextError: the text is too short.
    """
    with TemporaryDirectory(prefix="rnnlm-") as folder:
        found = yield from _source(path, overrides, text, Path(folder), encoding)
        settings = found.network.config.train
        steps = steps or settings.bptt
        streams = equal_streams(found.text, batch or min(settings.batch, 2), found.network.config.state)
        if at is None:
            at = max(0, min((2 if through is None else 5) * steps, streams.length - steps))
        loss_steps = _loss_steps(found.network.config, steps)
        short = window.read(found.network, streams, at, steps, loss_steps)
        longer = None
        if through is not None:
            more = at if through == "all" else min(int(through), at)
            if more == 0:
                raise InputError("--through: no step stands before the window; give --at a number above 0")
            longer = window.read(found.network, streams, at - more, steps + more, loss_steps)
            if found.network.config.model.drops:
                yield Note("dropout is off: its masks would differ between the truncated and the untruncated window")
        return (yield from check.check(found.network, short, numbers, seed, longer))


def gradients(
    path: str | Path,
    text: Path,
    at: int = 0,
    steps: int | None = None,
    losses: int | None = None,
    precision: str | None = None,
    encoding: str = UTF_8,
) -> Task[Ledger]:
    """The ledger of one window of a text.

    Args:
        path: a run's folder or a model's file.
        at: tokens of the text before the window; steps: of the window (None: bptt of the training); losses: how many
            of its last steps have a loss (None: as in training).
        precision: of the kernels; None: the model's own. encoding: of the text, a codec's name.

    Raises:
        InputError: see ``source``; TextError: the text is shorter than the window.
    """
    with TemporaryDirectory(prefix="rnnlm-") as folder:
        found = yield from source.from_model(path, text, Path(folder), precision, encoding=encoding)
        network = found.network
        steps = steps or network.config.train.bptt
        losses = losses or _loss_steps(network.config, steps)
        if losses > steps:
            raise InputError(f"--losses: found {losses}; must be at most the window's steps ({steps})")
        streams = line_streams(found.text, 1, network.config.state)
        part = window.read(network, streams, at, steps, losses)
        return (yield from ledger.ledger(network, part, _words(found.text, at, steps), found.text.source))


def kept_models(folder: Path) -> list[tuple[str, Path]]:
    """The models of the checkpoints that a run has kept, by their updates.

    Raises:
        ModelError: there is none.
    """
    found = model_file.numbered_models(folder)
    if not found:
        raise ModelError(
            f"{folder}: holds no model of an earlier checkpoint (model-UPDATES.safetensors); train with "
            "train.checkpoint.keep above 0"
        )
    return [(f"update {updates:,}", path) for updates, path in found]


def gradients_of_several(
    models: Sequence[tuple[str, str | Path]],
    text: Path,
    at: int = 0,
    steps: int | None = None,
    losses: int | None = None,
    precision: str | None = None,
    encoding: str = UTF_8,
) -> Task[tuple[Side, ...]]:
    """The ledgers of one window for several models of the same tokens.

    Args:
        models: a name, and a run's folder or a model's file, each.
        steps, losses: None: those of the first model's training, for all of them.

    Raises:
        InputError, TextError: as `gradients`, and where the models cut the text into different tokens.
    """
    if str(text) == "-":
        raise InputError("TEXT: standard input can be read once, and each model reads the text; give a file")
    sides: list[Side] = []
    for name, path in models:
        found = yield from gradients(path, text, at, steps, losses, precision, encoding)
        steps, losses = found.steps, len(found.surprisal)
        if sides and _spelled(found.targets) != _spelled(sides[0].ledger.targets):
            raise InputError(
                f"{path}: cuts the text into other tokens than {models[0][1]}; compare models of one unit and "
                "tokenizer"
            )
        sides.append(Side(name, found))
    return tuple(sides)


def _spelled(tokens: tuple[str, ...]) -> list[str]:
    """Tokens as they stand in the text, whether they are in a vocabulary or not."""
    return [token[5:-1] if token.startswith("<unk:") else token for token in tokens]


def derive_model(
    path: str | Path, text: Path | None, at: int | None, edge: int, encoding: str = UTF_8
) -> Task[Derivation]:
    """The derivation of one step of a trained network: the step that has token `at` (from 0) of the text as its
    target; None: the second token of the second line."""
    with TemporaryDirectory(prefix="rnnlm-") as folder:
        found = yield from source.from_model(path, text, Path(folder), "float64", encoding=encoding)
        _only_plain(found)
        streams = line_streams(found.text, 1, found.network.config.state)
        if at is None:
            ends = np.flatnonzero(found.text.stored[:1000] == found.text.vocabulary.line_end)
            at = min(int(ends[0]) + 2 if ends.size else 1, streams.length - 1)
        part = window.read(found.network, streams, at, 1, 1)
        before, target = (words[0] for words in _words(found.text, at, 1))
        yield Note(f"token {at + 1} of {found.text.source}: {target!r} after {before!r}")
        if found.network.config.model.cell.type in gated.CELLS:
            return gated.gated(found.network, part, edge)
        return derive.vector(found.network, part, edge)


def derive_gated(cell: str, embedding: int, hidden: int, vocabulary: int, seed: int, edge: int) -> Derivation:
    """The derivation of one step of a small LSTM or GRU, as `derive_small`."""
    return gated.gated(*_one_step("tanh", embedding, hidden, vocabulary, seed, cell), edge)


def derive_small(activation: str, embedding: int, hidden: int, vocabulary: int, seed: int, edge: int) -> Derivation:
    """The derivation of one step of a small random network, its numbers rounded so that they can be redone by
    hand."""
    return derive.vector(*_one_step(activation, embedding, hidden, vocabulary, seed), edge)


def derive_numbers(path: Path) -> Derivation:
    """The derivation with the numbers of a file (``derivation.own_numbers``), all of them shown: of one step, of
    several, or of the two steps of one unit.

    Raises:
        ConfigError, InputError: see ``own_numbers.load``.
    """
    own = own_numbers.load(path)
    if own.names is not None:
        return scalar.scalar(own.network, own.window, own.names)
    if own.window.steps == 1:
        return derive.vector(own.network, own.window, edge=0, table=False)
    return through_time.through_time(own.network, own.window)


def derive_scalar(activation: str, seed: int) -> Derivation:
    """The derivation of the network of one unit over two steps, with two words."""
    return scalar.scalar(*_two_steps(activation, seed))


def one_unit(activation: str, seed: int, path: Path | None = None) -> Own:
    """The network of one unit of `derive_scalar`, or of a file of own numbers.

    Raises:
        ConfigError, InputError: see ``own_numbers.load``; the file has a network with matrices.
    """
    if path is None:
        return Own(*_two_steps(activation, seed), ScalarNames())
    own = own_numbers.load(path)
    if own.names is None:
        raise InputError(f"{path}: --html draws the network of one unit, by its letters s(0), x1, x2, w, v, u")
    return own


def check_small(
    formulas: Sequence[str], activation: str, embedding: int, hidden: int, vocabulary: int, seed: int
) -> Iterator[FormulaCheck]:
    """Checks of formulas with the numbers of `derive_small`.

    Raises:
        InputError: a size above 64; a formula that cannot be read or evaluated.
    """
    for option, size in (("--embedding", embedding), ("--hidden", hidden), ("--vocabulary", vocabulary)):
        if size > _LARGEST:
            raise InputError(f"{option}: found {size}; with --check at most {_LARGEST}")
    return _checks(formulas, *_one_step(activation, embedding, hidden, vocabulary, seed), None)


def check_numbers(formulas: Sequence[str], path: Path) -> Iterator[FormulaCheck]:
    """Checks of formulas with the numbers of a file.

    Raises:
        ConfigError, InputError: see ``own_numbers.load``; a formula that cannot be read or evaluated.
    """
    return _checks(formulas, *own_numbers.load(path))


def check_scalar(formulas: Sequence[str], activation: str, seed: int) -> Iterator[FormulaCheck]:
    """Checks of formulas with the numbers of `derive_scalar`.

    Raises:
        InputError: a formula that cannot be read or evaluated.
    """
    return _checks(formulas, *_two_steps(activation, seed), ScalarNames())


def _checks(
    formulas: Sequence[str], network: Network, part: window.Window, letters: ScalarNames | None
) -> Iterator[FormulaCheck]:
    net = Unrolled.of(network, part)
    known = names.of_matrices(net.steps, net.losses) if letters is None else names.of_scalars(letters)
    return (check_formula(text, net, known) for text in formulas)


def _one_step(
    activation: str, embedding: int, hidden: int, vocabulary: int, seed: int, cell: str = "elman"
) -> tuple[Network, window.Window]:
    network = _small(activation, embedding, hidden, vocabulary, seed, cell)
    generator = np.random.default_rng([seed, 1])
    state = _rounded(generator, (1, network.cells[0].state_size), activation)
    tokens = generator.integers(0, vocabulary, (2, 1, 1)).astype(np.int32)
    return network, window.Window(tokens[0], tokens[1], np.zeros((1, 1), np.bool_), [state], 1, 0)


def _two_steps(activation: str, seed: int) -> tuple[Network, window.Window]:
    network = _small(activation, 1, 1, 2, seed)
    generator = np.random.default_rng([seed, 1])
    state = _rounded(generator, (1, 1), activation)
    inputs = np.array([[0], [1]], np.int32)
    return network, window.Window(inputs, inputs[::-1].copy(), np.zeros((2, 1), np.bool_), [state], 1, 0)


def _source(path: str, overrides: Overrides, text: Path | None, folder: Path, encoding: str) -> Task[Source]:
    if not source.is_model(path):
        config = config_file.load(path, overrides)
        return (yield from source.from_config(config, text, folder, encoding))
    if overrides:
        raise InputError(f"--set goes with a CONFIG; {path} is a trained model, whose configuration is fixed")
    return (yield from source.from_model(path, text, folder, "float64", encoding=encoding))


def _only_plain(found: Source) -> None:
    settings = found.network.config.model
    other = None
    if settings.cell.type not in ("elman", *gated.CELLS):
        other = f"cell is {settings.cell.type}"
    elif isinstance(settings.cell, Lstm) and (settings.cell.peepholes or settings.cell.coupled_gates):
        other = "LSTM has peepholes or coupled gates"
    elif settings.cell.type != "elman" and settings.layers > 1:
        other = f"{settings.cell.type} has several layers"
    elif settings.layer_norm:
        other = "layers are normalised"
    elif settings.output.type != "softmax":
        other = f"output layer is of type {settings.output.type}"
    elif "output.P" in found.network.named:
        other = "tied output layer has a projection"
    if other is not None:
        raise InputError(
            f"derive: takes plain Elman networks, GRUs and LSTMs apart; this model's {other} (gradcheck and "
            "gradients take any)"
        )


def _loss_steps(config: Config, steps: int) -> int:
    return 1 if config.train.loss == "last" else min(config.train.stride, steps)


def _words(text: Corpus, at: int, steps: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The inputs and the targets of a window, as they stand in the text."""
    vocabulary = text.vocabulary
    line_end = tokenizers.line_end(vocabulary.unit)
    tokens = itertools.chain([line_end], text.tokens())
    words = list(itertools.islice(tokens, at, at + steps + 1))
    unknown = [False, *(text.stored[: at + steps] == len(vocabulary))][at:]
    shown = tuple(f"<unk:{_visible(w)}>" if u else _visible(w) for w, u in zip(words, unknown, strict=True))
    return shown[:-1], shown[1:]


def _visible(token: str) -> str:
    if token == " ":
        return "␣"
    return token if token.isprintable() else token.encode("unicode_escape").decode("ascii")


def _small(activation: str, embedding: int, hidden: int, vocabulary: int, seed: int, cell: str = "elman") -> Network:
    config = Config.model_validate(
        {
            "data": {"train": "none"},
            "embedding": {"size": embedding},
            "model": {
                "cell": {"type": cell} | ({"activation": activation} if cell == "elman" else {}),
                "hidden": hidden,
            },
            "train": {"precision": "float64", "threads": 1, "seed": seed},
        }
    )
    generator = np.random.default_rng(seed)
    parameters = {name: _rounded(generator, shape) for name, shape in build.shapes(config, vocabulary).items()}
    return build.build(config, unflatten(parameters))


def _rounded(generator: np.random.Generator, shape: tuple[int, ...], activation: str = "") -> np.ndarray:
    """Numbers of two decimals; states lie where the activation's values do."""
    low = 0.0 if activation in ("sigmoid", "relu") else -1.0
    return np.round(generator.uniform(low, 1, shape), 2)
