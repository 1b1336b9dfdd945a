"""The loss curve as a picture, where matplotlib is installed (extra ``plot``)."""

from __future__ import annotations

from pathlib import Path

from rnnlm.files import atomic, log
from rnnlm.files.run_folder import CURVE


def draw(folder: Path) -> Path | None:
    """Draw ``log.jsonl`` of the run's folder as ``loss.png`` there; None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    records = log.read(folder)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for event, label, style in (
        ("updates", "training", {"color": "#7aa6c2", "linewidth": 1}),
        ("valid", "validation", {"color": "#c2573a", "marker": "o"}),
    ):
        found = [record for record in records if record["event"] == event]
        if found:
            axes.plot([r["updates"] for r in found], [r["loss"] for r in found], label=label, **style)
    axes.set_xlabel("updates")
    axes.set_ylabel("loss (nats a token)")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    path = folder / CURVE
    with atomic.atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
    return path
