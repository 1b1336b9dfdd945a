"""Records of runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Validation:
    """A validation of a run: its perplexity, and when it was.

    epochs: passes over the training text, with the share of the pass that was being made. seconds: of training.
    """

    epochs: float
    updates: int
    seconds: float
    perplexity: float


@dataclass(frozen=True)
class RunSummary:
    """What a run's folder says.

    Attributes:
        folder: its path; name: what it is called here, the shortest that tells it from the others.
        settings: its configuration by dotted names, without what says nothing of the model: places of files, threads,
            checkpoints, the log. An option is there where its section has the type that it belongs to.
        unit, lowercase, vocabulary: of its tokens; the number of them. tokens: a hash of all that decides them.
        texts: sha256 of the "train", "valid" and "test" text; text_names: what their files are called.
        parameters: how many numbers the network has.
        best_perplexity: the lowest on the validation text; None: no validation so far. best_epoch: when, in passes.
        test_perplexity: of the best model on the test text; None where the log has none.
        updates, epoch, seconds: of training so far; None without a log.
        state: "in progress", "finished" or "stopped" (it can go on); None: not known. reason: why it ended.
    """

    folder: str
    name: str
    settings: Mapping[str, Any]
    unit: str
    lowercase: bool
    vocabulary: int
    tokens: str
    texts: Mapping[str, str]
    text_names: Mapping[str, str]
    parameters: int
    best_perplexity: float | None
    best_epoch: float | None
    test_perplexity: float | None
    updates: int | None
    epoch: int | None
    seconds: float | None
    state: str | None
    reason: str | None
    validations: tuple[Validation, ...]


@dataclass(frozen=True)
class Group:
    """Runs whose perplexities can be compared: of one validation text, in one vocabulary.

    valid, tokens: what these are, in words; valid None: the runs have no validation text.
    keys: of the settings that differ in the group, in the configuration's order. shared: the settings in which all
    runs of the group agree and other groups do not.
    """

    valid: str | None
    tokens: str
    runs: tuple[RunSummary, ...]
    keys: tuple[str, ...]
    shared: Mapping[str, Any]


@dataclass(frozen=True)
class Ranking:
    """Runs side by side, the best of each group first. notes: what keeps figures from being compared."""

    groups: tuple[Group, ...]
    notes: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Everything but the curves, as plain data."""
        return {"groups": [_group(group) for group in self.groups], "notes": list(self.notes)}


def _group(group: Group) -> dict[str, Any]:
    return {
        "validation_text": group.valid,
        "tokens": group.tokens,
        "shared_settings": dict(group.shared),
        "runs": [
            {
                "run": run.folder,
                "name": run.name,
                "settings": {key: run.settings[key] for key in group.keys if key in run.settings},
                "best_validation_perplexity": run.best_perplexity,
                "best_epoch": run.best_epoch,
                "test_perplexity": run.test_perplexity,
                "parameters": run.parameters,
                "updates": run.updates,
                "epoch": run.epoch,
                "seconds": run.seconds,
                "state": run.state,
                "reason": run.reason,
            }
            for run in group.runs
        ],
    }
