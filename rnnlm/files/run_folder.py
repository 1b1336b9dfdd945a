"""A run's folder: what an earlier run left there, and the log."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnnlm.config.schema import Config
from rnnlm.errors import ModelError
from rnnlm.files import atomic as storage
from rnnlm.files import checkpoint
from rnnlm.files.checkpoint import MODEL, STATE


def earlier_run(config: Config, resume: bool) -> checkpoint.Trained | None:
    """The state to go on from, None for a new run.

    Raises:
        ModelError: the folder holds a run and `resume` was not asked for, or its state is damaged.
        ConfigError: the folder's run has another configuration.
    """
    folder = Path(config.run)
    if not (folder / STATE).exists():
        if not resume and (folder / MODEL).exists():
            raise ModelError(f"{folder}: holds a model already; --run DIR starts elsewhere, --restart throws it away")
        return None
    old = checkpoint.load(folder / STATE)
    checkpoint.check_same(config, old)
    if not resume:
        updates = old.training["position"]["updates"]
        raise ModelError(
            f"{folder}: holds a run already (update {updates:,}); --resume goes on with it, --run DIR starts another, "
            "--restart throws it away"
        )
    return old


def remove(config: Config) -> None:
    """Throw away what an earlier run left in the folder; nothing else that lies there, and not the encoded texts."""
    folder = Path(config.run)
    for name in (MODEL, STATE, "config.yaml", "vocab.txt", "log.jsonl", "loss.png"):
        (folder / name).unlink(missing_ok=True)


class Log:
    """``log.jsonl``: a record a line.

    Args:
        step: the run's place; what a killed run logged after its last checkpoint is dropped: it will come again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / "log.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() and step else []
        storage.write_text(path, "".join(f"{line}\n" for line in lines if _logged_step(line) <= step))
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def add(self, record: Any) -> Any:
        """Write a record, a dataclass; returns it."""
        self._file.write(json.dumps(_finite(asdict(record))) + "\n")
        self._file.flush()
        return record

    def close(self) -> None:
        self._file.close()


def _logged_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: a perplexity too large for a float is left out."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
