"""The layouts of operands that this machine can multiply, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnlm.kernels import cpu
from rnnlm.kernels.matmul import amx, choice
from rnnlm.kernels.matmul.layout import BFloat16Pairs, BFloat16Tiles, BFloat16x3Tiles, Numbers

needs_pairs = pytest.mark.skipif(not cpu.HAS_PAIRS, reason="this processor has no AVX512-BF16")
needs_tiles = pytest.mark.skipif(not (cpu.HAS_TILES and amx.permitted()), reason="no AMX here")

# Layouts of bfloat16, and the values of RNNLM_MATMUL that choose them.
ROUNDED = [
    pytest.param(BFloat16Pairs, id="pairs", marks=needs_pairs),
    pytest.param(BFloat16Tiles, id="tiles", marks=needs_tiles),
    pytest.param(BFloat16x3Tiles, id="tiles of parts", marks=needs_tiles),
]
WAYS = [
    pytest.param("avx512_bf16", marks=needs_pairs),
    pytest.param("amx", marks=needs_tiles),
]


def kinds(*float32: Any) -> list[Any]:
    """Parameters (type of C, layout, what else is given): float64, float32, and bfloat16 in its layouts.

    Args:
        float32: three values for a third parameter, of float64, float32 and bfloat16; or none.
    """
    of64, of32, rounded = ((value,) for value in float32) if float32 else ((), (), ())
    of_parts = tuple(4 * value for value in of32)  # 16 bits of 24
    return [
        pytest.param(np.float64, Numbers, *of64, id="float64"),
        pytest.param(np.float32, Numbers, *of32, id="float32"),
        pytest.param(np.float32, BFloat16Pairs, *rounded, id="pairs", marks=needs_pairs),
        pytest.param(np.float32, BFloat16Tiles, *rounded, id="tiles", marks=needs_tiles),
        pytest.param(np.float32, BFloat16x3Tiles, *of_parts, id="tiles of parts", marks=needs_tiles),
    ]


def take_way(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Multiply bfloat16 this way, until the test ends."""
    monkeypatch.setenv(choice.VARIABLE, way)
