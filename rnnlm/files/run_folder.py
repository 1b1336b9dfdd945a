"""A run's folder: what lies there, and the earlier run in it that may go on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rnnlm.config import file as config_file
from rnnlm.config import paths
from rnnlm.config.errors import in_yaml
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, ModelError
from rnnlm.files import atomic
from rnnlm.files import tensors as storage
from rnnlm.files.checkpoint import State, load_state
from rnnlm.files.lock import LOCK
from rnnlm.files.log import LOG
from rnnlm.files.model_file import MODEL, MODEL_BEFORE, STATE, Trained, check_best, numbered_models
from rnnlm.network import build
from rnnlm.text import files
from rnnlm.text.tokenizers import Subwords
from rnnlm.text.vocabulary import Vocabulary

CONFIG, VOCABULARY, CURVE, TEXT = "config.yaml", "vocab.txt", "loss.png", "text"
# The model that cuts a text into subwords: of sentencepiece, of tokenizers.
SUBWORDS = ("subwords.model", "tokenizer.json")
# The log as tables, and what the names of TensorBoard's event files begin with.
UPDATES, VALIDATIONS, EVENTS = "updates.csv", "validations.csv", "events"

# What may differ when a run goes on: how long and how watched, not what is trained.
MAY_CHANGE = (
    "run", "train.epochs", "train.max_updates", "train.max_minutes", "train.patience", "train.threads",
    "train.checkpoint", "train.log", "train.sample",
)  # fmt: skip

_OURS = (CONFIG, VOCABULARY, *SUBWORDS, CURVE, TEXT, LOG, UPDATES, VALIDATIONS, LOCK, MODEL, MODEL_BEFORE, STATE)
_MARK = "# The whole configuration of this run, written by rnnlm train.\n"


def check(folder: Path) -> None:
    """A run's folder is new, empty, or holds a run: nothing else is ever written into.

    Raises:
        ModelError: the folder holds other files, or is no folder.
    """
    if not str(folder).strip() or folder.is_file():
        raise ModelError(f"run: {str(folder)!r} is no folder; name a new one")
    if not folder.exists() or is_run(folder):
        return
    ours = {*_OURS, *(path.name for path in event_files(folder)), *(path.name for _, path in numbered_models(folder))}
    others = sorted(path.name for path in folder.iterdir() if path.name not in ours and not _is_beside(path))
    if others or (folder / CONFIG).exists():
        what = others[0] if others else CONFIG
        raise ModelError(
            f"{folder}: holds {what} and is no run's folder; name a new one with the key run, or with --run DIR"
        )


def is_run(folder: Path) -> bool:
    """Whether a training has begun here: it wrote the configuration, or, in an older version, a model beside it."""
    try:
        text = (folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return text.startswith(_MARK) or any(_is_model(folder / name) for name in (MODEL, STATE))


def _is_model(path: Path) -> bool:
    try:
        return "config" in storage.read_metadata(path)
    except ModelError:
        return False


def _is_beside(path: Path) -> bool:
    """Whether this is what a killed process of ours was writing."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def write_vocabulary(folder: Path, vocabulary: Vocabulary) -> None:
    """Write ``vocab.txt``, and beside it the model of subwords."""
    vocabulary.save(folder / VOCABULARY)
    if isinstance(vocabulary.tokenizer, Subwords):
        atomic.write_bytes(folder / SUBWORDS[vocabulary.tokenizer.is_json], vocabulary.tokenizer.data)


def write_config(config: Config) -> None:
    """Write ``config.yaml``, with absolute paths; not over one that says the same already."""
    path = Path(config.run) / CONFIG
    resolved = paths.replaced(config, paths.absolute(config)).model_copy(update={"run": os.path.abspath(config.run)})
    try:
        if path.exists() and config_file.load(path) == resolved:
            return
    except ConfigError:
        pass
    atomic.write_text(path, _MARK + config_file.dump(resolved))


def keep_texts(folder: Path, texts: Mapping[str, Path]) -> bool:
    """Copy the texts ("train", "valid", "test") into a run's folder; whether any was not there yet."""
    new = False
    for name, path in texts.items():
        kept = folder / TEXT / f"{name}.txt"
        if path == kept:
            continue
        if not kept.exists() or files.sha256(kept) != files.sha256(path):
            with open(path, "rb") as source, atomic.atomic_write(kept) as target:
                shutil.copyfileobj(source, target)
            new = True
    return new


def event_files(folder: Path) -> list[Path]:
    """TensorBoard's event files of a run."""
    return sorted(folder.glob(f"{EVENTS}.out.tfevents.*"))


def earlier_run(config: Config, resume: bool) -> State | None:
    """The checkpoint to go on from, None for a new run.

    Raises:
        ModelError: the folder holds a run and `resume` was not asked for, its checkpoint or model is damaged, or its
            best model is gone.
        ConfigError: the folder's run has another configuration.
    """
    folder = Path(config.run)
    if not (folder / STATE).exists():
        if (folder / MODEL).exists():
            way = f"has a model and no {STATE} to go on from" if resume else "holds a model already"
            raise ModelError(f"{folder}: {way}; --run DIR starts elsewhere, --restart throws it away")
        return None
    old = load_state(folder / STATE)
    check_same(config, old.trained)
    if not resume:
        raise ModelError(
            f"{folder}: holds a run already (update {old.position.get('updates', 0):,}); --resume goes on with it, "
            "--run DIR starts another, --restart throws it away"
        )
    check_best(folder, old.position)
    if (folder / MODEL).exists():
        storage.read_metadata(folder / MODEL)  # it is needed at the end, and may be damaged now
    return old


def check_same(config: Config, trained: Trained) -> None:
    """A run goes on only with the configuration that it began with, but for `MAY_CHANGE`. Texts are the same by
    their content, which is looked at later.

    Raises:
        ConfigError: names the first key that differs, with both values.
    """
    first, now = paths.absolute(trained.config) | trained.paths, paths.absolute(config)
    size = len(trained.vocabulary)
    had, asked = (
        build.settled(paths.replaced(one, places), size) for one, places in ((trained.config, first), (config, now))
    )
    for key, old, new in _differences(had.model_dump(), asked.model_dump()):
        if key in paths.TEXTS and None not in (old, new):
            continue
        raise ConfigError(
            f"{trained.path.parent}: this run has {key}: {in_yaml(old)}, the configuration {in_yaml(new)}; "
            "take the run's own config.yaml, or another folder with --run"
        )


def spelled_as_before(config: Config, trained: Trained) -> Config:
    """The configuration with each path as it was first given, where it is still the same one."""
    first, now = paths.absolute(trained.config) | trained.paths, paths.absolute(config)
    given = trained.config.model_dump()
    same = {key: paths.value(given, key) for key in first if first[key] == now.get(key)}
    return paths.replaced(config, {key: path for key, path in same.items() if path is not None})


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
    """Remove an earlier run's files from the folder; nothing else that lies there, and not its texts."""
    folder = Path(config.run)
    for path in [*event_files(folder), *(path for _, path in numbered_models(folder))]:
        path.unlink()
    for name in (MODEL, MODEL_BEFORE, STATE, CONFIG, VOCABULARY, *SUBWORDS, LOG, UPDATES, VALIDATIONS, CURVE):
        (folder / name).unlink(missing_ok=True)
