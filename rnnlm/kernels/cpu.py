"""How many numbers the processor's vectors hold, and how large a tile of a product fits into its registers.

    float32, AVX-512: 16 lanes, a tile of up to 12 x 32: 24 accumulators and two vectors of B in 32 registers
    float32, AVX2:     8 lanes, a tile of up to  6 x 16: 12 accumulators and two vectors of B in 16 registers
    float32, NEON:     4 lanes, a tile of up to 12 x  8

float64 has half the lanes.
"""

from __future__ import annotations

import platform
from typing import Any

import llvmlite.binding
import numba


def _features() -> set[str]:
    """What Numba compiles for: this processor, or the one that NUMBA_CPU_NAME and NUMBA_CPU_FEATURES describe."""
    settings: Any = numba.config
    if settings.CPU_NAME:
        return {name[1:] for name in (settings.CPU_FEATURES or "").split(",") if name.startswith("+")}
    return {name for name, there in llvmlite.binding.get_host_cpu_features().items() if there}


def _host() -> tuple[int, int, bool]:
    """Bytes of a vector, rows of the largest tile, whether there are products of bfloat16 pairs."""
    features = _features()
    if "avx512f" in features:
        return 64, 12, "avx512bf16" in features
    if features >= {"avx2", "fma"}:
        return 32, 6, False
    return 16, 12 if platform.machine() in ("aarch64", "arm64") else 6, False


VECTOR_BYTES, ROWS, HAS_BFLOAT16 = _host()
LANES32, LANES64 = VECTOR_BYTES // 4, VECTOR_BYTES // 8
