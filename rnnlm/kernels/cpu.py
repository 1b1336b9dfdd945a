"""This processor: its vectors, its caches, and how much work is worth a second thread.

Vectors, and the largest tile of a product that fits into the registers:

    float32, AVX-512: 16 lanes, a tile of up to 12 x 32: 24 accumulators and two vectors of B in 32 registers
    float32, AVX2:     8 lanes, a tile of up to  6 x 16: 12 accumulators and two vectors of B in 16 registers
    float32, NEON:     4 lanes, a tile of up to 12 x  8

float64 has half the lanes.

The sizes below were found by timing, on cores with 32 to 48 KiB of first cache and 1 to 2 MiB of second cache; two
follow the second cache of the machine. They change how fast something is; the sizes of blocks also change the order
of sums, and with it the last bits.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba


def _features() -> set[str]:
    """What Numba compiles for: this processor, or the one that NUMBA_CPU_NAME and NUMBA_CPU_FEATURES describe."""
    settings: Any = numba.config
    if settings.CPU_NAME:
        return {name[1:] for name in (settings.CPU_FEATURES or "").split(",") if name.startswith("+")}
    return {name for name, there in llvmlite.binding.get_host_cpu_features().items() if there}


def _vectors() -> tuple[int, int]:
    """Bytes of a vector, rows of the largest tile."""
    if "avx512f" in _FEATURES:
        return 64, 12
    if {"avx2", "fma"} <= _FEATURES:
        return 32, 6
    return 16, 12 if platform.machine() in ("aarch64", "arm64") else 6


_FEATURES = _features()
# As LLVM calls it.
NAME: str = numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name()  # type: ignore[attr-defined]
VECTOR_BYTES, ROWS = _vectors()
# Products of bfloat16: of pairs in vectors, and of AMX's tiles, which the system has to grant too.
HAS_PAIRS = {"avx512f", "avx512bf16"} <= _FEATURES
HAS_TILES = HAS_PAIRS and {"amx-tile", "amx-bf16"} <= _FEATURES
LANES32, LANES64 = VECTOR_BYTES // 4, VECTOR_BYTES // 8


def second_cache(place: Path = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")) -> int:
    """Bytes of a core's second cache: what Linux says, and a megabyte where nothing is said or it has less."""
    try:
        said = place.read_text("ascii").strip()
    except (OSError, UnicodeError):
        said = ""
    kilobytes = said.removesuffix("K")
    return max(1 << 20, int(kilobytes) << 10 if kilobytes.isdecimal() and said.endswith("K") else 0)


# -- sizes of blocks

_SECOND_CACHE = second_cache()

# Numbers of k that a product by columns goes through at once: 256 x 32 float32 of B stay in the first cache.
DEPTH_BLOCK = 256
# Bytes of packed H up to which threads partition the streams of a recurrence: it stays in each core's second cache.
RECURRENT_BYTES = 3 * _SECOND_CACHE // 4
# Streams of each thread from which they do it whatever H takes: so often is each number of H used when it is read.
RECURRENT_STREAMS = 12
# Panels of U and rows of h that go through h U, exp and (exp z) U' together: they stay in the second cache.
SOFTMAX_PANELS, SOFTMAX_ROWS = 8, 192
# The same in bfloat16: operands have half the bytes, and (exp z) U' is read and written once a group.
SOFTMAX_BFLOAT16_PANELS, SOFTMAX_BFLOAT16_ROWS = 16, 352
# Bytes of the exponentials of a block of rows that training holds at once: a bound on memory, not on a cache.
SOFTMAX_BYTES = 96 << 20
# Bytes of h of such a block, which is read again for each panel of dJ/dU: it stays in the second cache.
SOFTMAX_H_BYTES = 9 * _SECOND_CACHE // 10
# Rows of such a block where only log y^ of the targets is asked for.
SCORED_ROWS = 512
# Bytes of h and of the logits of a block of rows in the softmax of a small vocabulary: the second cache.
SMALL_SOFTMAX_BYTES = 512 << 10
# Logits that a thread holds at once where whole rows of them are asked for.
LOGITS_A_THREAD = 1 << 20
# Logits of all softmaxes of a mixture that all threads together hold at once when tokens are drawn.
MIXTURE_LOGITS = 1 << 24

# -- what is worth a second thread: more than one thread does in some 10 microseconds, which calling another takes

MULTIPLICATIONS = 1 << 18  # of a product
SCORED_MULTIPLICATIONS = 1 << 26  # of the recurrent layers of a window that is only scored
UPDATED_NUMBERS = 1 << 16  # of a parameter, with its moments
SCORED_LOGITS = 1 << 24  # multiplications of whole rows of them
DRAWN_LOGITS = 1 << 15  # an exp, a sum and a comparison each
MIXED_LOGITS = 1 << 15  # two exp each
TANH_NUMBERS = 1 << 14
# Columns of h that each thread has at least where threads partition the columns of a recurrence.
RECURRENT_COLUMNS = 64


def useful_threads(threads: int, work: int, alone: int) -> int:
    """All threads, or one where that is quicker: up to `alone` of what `work` counts."""
    return threads if work > alone else 1
