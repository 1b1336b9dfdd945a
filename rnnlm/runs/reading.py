"""A run's folder as a record: its model's header, its configuration and its log."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from rnnlm.config import file as config_file
from rnnlm.config import paths
from rnnlm.config.schema import Config
from rnnlm.corpora import prepare
from rnnlm.errors import ConfigError, ModelError
from rnnlm.files import header, lock, log, model_file, run_folder, tensors
from rnnlm.network import build
from rnnlm.runs import settings
from rnnlm.runs.records import RunSummary, Validation
from rnnlm.text.tokenizers import WHITESPACE
from rnnlm.text.vocabulary import Vocabulary


def read(folder: Path, name: str) -> RunSummary:
    """The record of a run. Its weights are not read.

    Raises:
        ModelError: there is no model yet, or its header is damaged.
    """
    path = _model(folder)
    metadata = tensors.read_metadata(path)
    trained_with, vocabulary = model_file.read_header(path, metadata)
    training = header.training_of(metadata)
    config = _config(folder) or trained_with
    records = log.read(folder)
    validations = tuple(made for record in records if (made := _validation(record)) is not None)
    best = training.get("best_validation_perplexity")
    epochs = [validation.epochs for validation in validations if validation.perplexity == best]
    state, reason = _state(folder, records)
    last = records[-1] if records else {}
    return RunSummary(
        folder=str(folder),
        name=name,
        settings=settings.of(config),
        unit=vocabulary.unit,
        lowercase=vocabulary.lowercase,
        vocabulary=len(vocabulary),
        tokens=_hash(vocabulary),
        texts=dict(training.get("texts", {})),
        text_names=_names(config),
        parameters=sum(math.prod(shape) for shape in build.shapes(trained_with, len(vocabulary)).values()),
        best_perplexity=best,
        best_epoch=epochs[0] if epochs else training.get("best_epoch"),
        test_perplexity=next((_number(r, "perplexity") for r in reversed(records) if r.get("event") == "test"), None),
        updates=last.get("updates"),
        epoch=None if (epoch := _number(last, "epoch")) is None else int(epoch),
        seconds=max((s for record in records if (s := _number(record, "seconds")) is not None), default=None),
        state=state,
        reason=reason,
        validations=validations,
    )


def _model(folder: Path) -> Path:
    """The file whose header says what the run is: as ``model_file.load`` takes it."""
    for name in (model_file.MODEL, model_file.STATE):
        if (folder / name).exists():
            return folder / name
    running = "trained now, and there is" if lock.is_held(folder) else "there is"
    raise ModelError(f"{folder}: {running} no {model_file.MODEL} yet; the first checkpoint brings it")


def _config(folder: Path) -> Config | None:
    """The configuration as the training last took it; None where it is not there or no longer one."""
    try:
        return config_file.load(folder / run_folder.CONFIG) if (folder / run_folder.CONFIG).is_file() else None
    except ConfigError:
        return None


def _hash(vocabulary: Vocabulary) -> str:
    """Of all that decides which perplexities can be compared: the tokens, whatever their ids and counts."""
    tokens = "\0".join(sorted(vocabulary.tokens)).encode("utf-8", "surrogatepass")
    tokenizer = "" if vocabulary.tokenizer == WHITESPACE else f"{vocabulary.tokenizer} "
    return hashlib.sha256(f"{vocabulary.unit} {vocabulary.lowercase} {tokenizer}".encode() + tokens).hexdigest()


def _names(config: Config) -> dict[str, str]:
    """What the files of the texts are called; the parts of one text, or of a grammar's, by that."""
    data, values = config.data, config.model_dump()
    if data.train is not None:
        named = {name: data.named(name) for name in prepare.NAMES}
        return {name: _name(texts) for name, texts in named.items() if texts}
    source = paths.value(values, "data.text") or paths.value(values, "data.grammar.type")
    return {key: f"{key} of {Path(str(source)).name}" for key in ("train", "valid", "test")}


def _name(texts: list[tuple[str, int]]) -> str:
    """What a text is called, by the first of its files."""
    first = Path(texts[0][0]).name
    return first if len(texts) == 1 else f"{first} and {len(texts) - 1:,} more"


def _state(folder: Path, records: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    """Whether a run goes on, and why it ended."""
    if lock.is_held(folder):
        return "in progress", None
    reason = next((record.get("reason") for record in reversed(records) if record.get("event") == "end"), None)
    if isinstance(reason, str) and reason != "interrupted":
        return "finished", reason
    return ("stopped", reason if isinstance(reason, str) else None) if records else (None, None)


def _validation(record: dict[str, Any]) -> Validation | None:
    """A validation of the log; None for another record, or one whose numbers are none."""
    if record.get("event") != "valid":
        return None
    epoch, share, seconds, perplexity = (
        _number(record, key, default)
        for key, default in (("epoch", None), ("share", 0.0), ("seconds", None), ("perplexity", None))
    )
    if epoch is None or share is None or seconds is None or perplexity is None:
        return None
    return Validation(epoch + share, record["updates"], seconds, perplexity)


def _number(record: dict[str, Any], key: str, default: float | None = None) -> float | None:
    """A number of the log as a float; None where there is something else."""
    value = record.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer of hundreds of digits
        return None
