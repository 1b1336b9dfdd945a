"""The loss curve in block characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def curve_lines(values: Sequence[float], width: int = 60, height: int = 6) -> list[str]:
    """A curve of `height` lines from the top, the mean of its share of `values` in each column."""
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
