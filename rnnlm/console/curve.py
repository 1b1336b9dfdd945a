"""The loss curve: a picture where matplotlib is installed (extra ``plot``), and a small one in characters always."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from rnnlm.files import atomic as storage

_BARS = "▁▂▃▄▅▆▇█"


def loss_curve(folder: Path) -> Path | None:
    """Draw ``log.jsonl`` of the run's folder as ``loss.png`` there; None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for event, label, style in (
        ("step", "training", {"color": "#7aa6c2", "linewidth": 1}),
        ("valid", "validation", {"color": "#c2573a", "marker": "o"}),
    ):
        found = [record for record in records if record["event"] == event]
        if found:
            axes.plot([r["step"] for r in found], [r["loss"] for r in found], label=label, **style)
    axes.set_xlabel("updates")
    axes.set_ylabel("loss (nats a token)")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    path = folder / "loss.png"
    with storage.atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)
    return path


def curve_lines(values: Sequence[float], width: int = 60, height: int = 6) -> list[str]:
    """A curve in block characters, `height` lines from the top, the mean of its share of `values` in each column."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return []
    columns = min(width, len(finite))
    means = []
    for i in range(columns):
        part = finite[i * len(finite) // columns : (i + 1) * len(finite) // columns]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    levels = [round((mean - low) / span * (height * 8 - 1)) + 1 for mean in means]
    lines = []
    for row in range(height - 1, -1, -1):
        cells = [min(8, max(0, level - row * 8)) for level in levels]
        text = "".join(_BARS[cell - 1] if cell else " " for cell in cells)
        label = high if row == height - 1 else low if row == 0 else None
        lines.append(f"{label:8.3f} ┤{text}" if label is not None else f"{'':8} │{text}")
    return lines
