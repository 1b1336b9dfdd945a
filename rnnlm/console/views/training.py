"""Views of training: lines and table rows for its records, and the loss curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from rnnlm.console.curve import curve_lines
from rnnlm.console.formats import counted, duration, figure, time_left
from rnnlm.training.records import End, Start, TrainingSample, Updates, Valid

_REASONS = {
    "epochs": "all epochs done",
    "max_updates": "train.max_updates reached",
    "max_minutes": "train.max_minutes reached",
    "patience": "validation has not improved for train.patience validations",
}


def start_line(record: Start) -> str:
    return (
        f"{record.parameters:,} parameters, {record.tokens_per_epoch:,} tokens an epoch "
        f"in {record.updates_per_epoch:,} updates, "
        f"{counted(record.epochs, 'epoch')}, {counted(record.threads, 'thread')}"
    )


def updates_text(record: Updates) -> str:
    """The figures of the latest updates, beside a bar or in a line."""
    return (
        f"perplexity {figure(record.perplexity)} · {record.tokens_per_second:,.0f} tokens/s · "
        f"loss {record.loss:.3f} · gradient {record.gradient_norm:.3g} · rate {record.learning_rate:.3g}"
    )


def epochs_done(record: Updates, start: Start | None) -> str:
    """How many epochs are done, of how many."""
    if start is None:
        return f"epoch {record.epoch + 1}"
    done = min(start.epochs, record.updates / start.updates_per_epoch)  # epochs may differ by some updates
    return f"{done:.2f} of {counted(start.epochs, 'epoch')}"


def updates_line(record: Updates, start: Start | None, first: Updates | None) -> str:
    """The latest updates as a plain line.

    Args:
        first: the first updates since `start`, from which the time left counts: before them kernels were compiled.
    """
    left = f" of {start.total_updates:,}" if start is not None else ""
    if start is not None and first is not None and record.updates > first.updates:
        pace = (record.seconds - first.seconds) / (record.updates - first.updates)
        left += f" · {time_left(pace * (start.total_updates - record.updates))} left"
    return f"epoch {record.epoch + 1} · update {record.updates:,}{left} · {updates_text(record)}"


def valid_line(record: Valid) -> str:
    """A validation as a plain line."""
    where = f"epoch {record.epoch} done" if record.updates else "before the first update"
    if record.share:
        where = f"epoch {record.epoch + 1}, {record.share:.0%} of it · update {record.updates:,}"
    trained = f"training perplexity {figure(record.train_perplexity)} · " if record.updates else ""
    return (
        f"{where} · {trained}"
        f"validation perplexity {figure(record.perplexity)}{' *' if record.best else ''} "
        f"({record.loss:.4f} nats a token) · {duration(record.seconds)}"
    )


# The table of validations, within 80 columns.
_WIDTHS = (5, 11, 13, 15, 9, 11, 13)


def _row(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))


VALID_HEADING = (
    "* best so far" + _row(["", "", "training", "validation  ", "nats a", "learning", ""])[13:].rstrip(),
    _row(["epoch", "updates", "perplexity", "perplexity  ", "token", "rate", "time"]),
)


def valid_row(record: Valid) -> str:
    """A validation as a row of the table under `VALID_HEADING`."""
    return _row(
        [
            f"{record.epoch + record.share:.2f}" if record.share else str(record.epoch),
            f"{record.updates:,}",
            figure(record.train_perplexity) if record.updates else "",
            f"{figure(record.perplexity)} {'*' if record.best else ' '}",
            f"{record.loss:.4f}",
            f"{record.learning_rate:.3g}",
            duration(record.seconds),
        ]
    )


def sample_lines(record: TrainingSample) -> Iterator[Text]:
    """A text that the network wrote, below the number of updates before it."""
    yield Text(f"--- sample after update {record.updates:,}", style="dim")
    # The last line may have ended; split("\n") alone knows no other line breaks than the text's own.
    for line in record.text.removesuffix("\n").split("\n"):
        yield Text(line, style="dim")


def end_view(record: End, start: Start | None, losses: Sequence[float]) -> Iterator[Text]:
    """The end of training: the curve of the `losses` since its `start`, and why it ended."""
    curve = curve_lines(losses)
    for line in curve:
        yield Text(line, style="cyan")
    if curve:
        updates = record.updates - (start.updates if start else 0)
        yield Text(f"{'':9} training loss, nats a token, over {updates:,} updates")
    best = f", best validation perplexity {figure(record.best_perplexity)}"
    after = f"after {duration(record.seconds)}{best if record.best_perplexity is not None else ''}"
    if record.reason == "interrupted":
        yield Text(f"stopped; --resume goes on from here ({after}); the run is in {record.run}")
    else:
        yield Text(f"{_REASONS[record.reason]} {after}; the run is in {record.run}")
