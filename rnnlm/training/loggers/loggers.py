"""All loggers of a run: ``log.jsonl``, and beside it what ``train.log.to`` names."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rnnlm.config.training import Log as Settings
from rnnlm.errors import InputError
from rnnlm.files import log as log_file
from rnnlm.files.log import Log
from rnnlm.training.loggers.csv_tables import CsvTables
from rnnlm.training.loggers.tensorboard import TensorBoard
from rnnlm.work import Note

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T", bound="DataclassInstance")


class Logger(Protocol):
    """A form of the log that follows from the records of ``log.jsonl``.

    Attributes:
        path: what it writes, for messages.
    """

    path: Path

    def open(self, updates: int, earlier: list[dict[str, Any]]) -> None:
        """Begin to write. updates: made so far; earlier: the records of ``log.jsonl`` up to them."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a record, as ``files.log.plain`` makes it."""

    def close(self) -> None:
        """Write what is left, and close the file."""


LOGGERS: dict[str, Callable[[Path], Logger]] = {"csv": CsvTables, "tensorboard": TensorBoard}


def check(settings: Settings) -> None:
    """The packages that the loggers need are there.

    Raises:
        InputError: names the one to install.
    """
    if "tensorboard" in settings.to and importlib.util.find_spec("tensorboardX") is None:
        raise InputError(
            "train.log.to: tensorboard: the package tensorboardX is not installed; install it: "
            "pip install '.[tensorboard]' in a clone of rnnlm"
        )


class Loggers:
    """The log of a run in all its forms. One that cannot be written never fails the run.

    Args:
        log: ``log.jsonl``, open. updates: made so far.
    """

    def __init__(self, folder: Path, log: Log, settings: Settings, updates: int) -> None:
        self._log = log
        self._loggers = [LOGGERS[name](folder) for name in settings.to if name in LOGGERS]
        self._problems: list[str] = []
        self._told = False  # that log.jsonl is not written any more
        earlier = log_file.read(folder) if updates else []
        for logger in tuple(self._loggers):
            self._try(logger, logger.open, updates, earlier)

    @property
    def records(self) -> int:
        """How many records ``log.jsonl`` has."""
        return self._log.records

    def add(self, record: _T) -> _T:
        """Log a record, a dataclass; returns it."""
        self._log.add(record)
        values = log_file.plain(record)
        for logger in tuple(self._loggers):
            self._try(logger, logger.add, values)
        return record

    def problems(self) -> Iterator[Note]:
        """What is not written any more, and why; each once."""
        if self._log.problem and not self._told:
            self._told = True
            yield Note(self._log.problem, warning=True)
        while self._problems:
            yield Note(self._problems.pop(0), warning=True)

    def close(self) -> None:
        self._log.close()
        for logger in self._loggers:
            _close(logger)

    def _try(self, logger: Logger, action: Callable[..., None], *arguments: Any) -> None:
        """Do something with a logger; where that fails it is left out from now on."""
        try:
            action(*arguments)
        except Exception as error:  # of a library that does much, about what is only an extra
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._problems.append(f"{logger.path}: not written any more: {reason}; the training goes on without it")
            self._loggers.remove(logger)
            _close(logger)


def _close(logger: Logger) -> None:
    with suppress(Exception):  # what could not be written is tried again here
        logger.close()
