"""Draws of an output layer, held against its distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from rnnlm.kernels.workspace import Context, Workspace
from rnnlm.network.protocols import Arrays, Draw, OutputLayer

# With a temperature and tokens that are never drawn, and without.
every_way = pytest.mark.parametrize(
    ("temperature", "excluded"), [(1.0, []), (1.0, [2, 9]), (0.7, [2, 9])]
)  # fmt: skip


def check(
    layer: OutputLayer[Any], parameters: Arrays, h: np.ndarray, y: np.ndarray, uniforms: np.ndarray,
    temperature: float, excluded: list[int], bound: float = 1e-12,
) -> None:  # fmt: skip
    """So many draws from one row of h (1 x D_h) as there are uniform numbers follow y (|V|), its distribution."""
    log_probability = np.empty(uniforms.size)
    how = Draw(temperature, uniforms, np.array(excluded) if excluded else None, log_probability)
    packed = layer.pack(parameters, Context(Workspace(np.float64), 2))
    drawn = layer.draw(packed, np.repeat(h, uniforms.size, axis=0), None, how, 2)
    np.testing.assert_allclose(log_probability, np.log(y[drawn]), rtol=0, atol=bound)
    wanted = y ** (1 / temperature)
    wanted[excluded] = 0
    counts, kept = np.bincount(drawn, minlength=y.size), wanted > 0
    assert counts[excluded].sum() == 0
    assert stats.chisquare(counts[kept], uniforms.size * wanted[kept] / wanted.sum()).pvalue > 1e-3
