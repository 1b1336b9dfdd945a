"""A run's folder: an earlier run in it, which may go on with the same configuration alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnlm.config.errors import in_yaml
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, ModelError
from rnnlm.files.checkpoint import State, load_state
from rnnlm.files.log import LOG
from rnnlm.files.model_file import MODEL, MODEL_BEFORE, STATE, Trained, numbered_models

CONFIG, VOCABULARY, CURVE = "config.yaml", "vocab.txt", "loss.png"

# What may differ when a run goes on: how long and how watched, not what is trained.
MAY_CHANGE = (
    "run", "train.epochs", "train.max_updates", "train.max_minutes", "train.patience", "train.threads",
    "train.checkpoint", "train.log",
)  # fmt: skip


def earlier_run(config: Config, resume: bool) -> State | None:
    """The checkpoint to go on from, None for a new run.

    Raises:
        ModelError: the folder holds a run and `resume` was not asked for, or its checkpoint is damaged.
        ConfigError: the folder's run has another configuration.
    """
    folder = Path(config.run)
    if not (folder / STATE).exists():
        if not resume and (folder / MODEL).exists():
            raise ModelError(f"{folder}: holds a model already; --run DIR starts elsewhere, --restart throws it away")
        return None
    old = load_state(folder / STATE)
    check_same(config, old.trained)
    if not resume:
        raise ModelError(
            f"{folder}: holds a run already (update {old.position.get('updates', 0):,}); --resume goes on with it, "
            "--run DIR starts another, --restart throws it away"
        )
    return old


def check_same(config: Config, trained: Trained) -> None:
    """A run goes on only with the configuration that it began with, but for `MAY_CHANGE`.

    Raises:
        ConfigError: names the first key that differs, with both values.
    """
    for key, had, asked in _differences(trained.config.model_dump(), config.model_dump()):
        raise ConfigError(
            f"{trained.path.parent}: this run has {key}: {in_yaml(had)}, the configuration {in_yaml(asked)}; "
            "take the run's own config.yaml, or another folder with --run"
        )


def _differences(had: Any, asked: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every key whose value differs, with both values; a section's type comes before its options."""
    if key in MAY_CHANGE:
        return
    if isinstance(had, dict) and isinstance(asked, dict):
        for name, value in asked.items():
            yield from _differences(had.get(name), value, f"{key}.{name}" if key else name)
    elif had != asked:
        yield key, had, asked


def remove(config: Config) -> None:
    """Remove an earlier run's files from the folder; nothing else that lies there, and not the encoded texts."""
    folder = Path(config.run)
    for _, path in numbered_models(folder):
        path.unlink()
    for name in (MODEL, MODEL_BEFORE, STATE, CONFIG, VOCABULARY, LOG, CURVE):
        (folder / name).unlink(missing_ok=True)
