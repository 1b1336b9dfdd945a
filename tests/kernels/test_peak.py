"""The rate of the multiply-add units is a number that products do not reach."""

from __future__ import annotations

import numpy as np
import pytest
from layouts import kinds

from rnnlm.kernels import peak
from rnnlm.kernels.matmul.layout import BFloat16Tiles, BFloat16x3Tiles, Layout


@pytest.mark.parametrize(("dtype", "layout"), kinds())
@pytest.mark.parametrize("threads", [1, 2])
def test_a_rate_is_measured(dtype: type, layout: Layout, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asserts a speed; but a loop that was optimised away would take no time at all."""
    monkeypatch.setattr(peak, "_TURNS", 20_000)
    rate = peak.rate(layout, dtype, threads)
    assert 0.01 < rate < (1e6 if layout in (BFloat16Tiles, BFloat16x3Tiles) else 1e4) * threads
    assert np.isfinite(rate)
