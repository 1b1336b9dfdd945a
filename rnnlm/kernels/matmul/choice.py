"""How bfloat16 is multiplied here: by AMX, by AVX-512, or in float32 where both are no gain.

The choice follows from the processor alone, by the table below, never from a timing: the same machine gives the same
bytes. ``RNNLM_MATMUL`` forces another one, for tests and comparisons.

    amx            Intel, Sapphire Rapids and later, where Linux grants the tiles
    avx512_bf16    AMD, Zen 4 and later; on Intel's cores these products are slower than float32's
    float32        elsewhere
"""

from __future__ import annotations

import functools
import os
from typing import NamedTuple

from rnnlm.errors import InputError
from rnnlm.kernels import cpu
from rnnlm.kernels.matmul import amx
from rnnlm.kernels.matmul.layout import BFloat16Pairs, BFloat16Tiles, Layout, Numbers

VARIABLE = "RNNLM_MATMUL"
_LAYOUTS: dict[str, Layout] = {"amx": BFloat16Tiles, "avx512_bf16": BFloat16Pairs, "float32": Numbers}


class Choice(NamedTuple):
    """A way to multiply, and why it was taken."""

    name: str
    why: str

    @property
    def layout(self) -> Layout:
        """Of the operands."""
        return _LAYOUTS[self.name]


@functools.cache
def choose() -> Choice:
    """The way of this process.

    Raises:
        InputError: RNNLM_MATMUL names none, or one that this machine does not have.
    """
    forced = os.environ.get(VARIABLE)
    missing = {"amx": _no_tiles(), "avx512_bf16": _no_pairs(), "float32": None}
    if forced:
        if forced not in missing:
            raise InputError(f"{VARIABLE}={forced}: no such way to multiply; it is {', '.join(missing)}")
        if missing[forced]:
            raise InputError(f"{VARIABLE}={forced}: {missing[forced]}")
        return Choice(forced, f"{VARIABLE} says so")
    if not missing["amx"]:
        return Choice("amx", "the processor has AMX, and the system grants it")
    if not missing["avx512_bf16"] and cpu.NAME.startswith("znver"):
        return Choice("avx512_bf16", "the processor has AVX512-BF16, and no AMX")
    reason = missing["avx512_bf16"] or "its AVX512-BF16 is slower than float32"
    return Choice("float32", f"{missing['amx']}; {reason}")


def layout_of(precision: str) -> Layout:
    """The layout in which training of this precision multiplies here."""
    return choose().layout if precision == "bfloat16" else Numbers


def _no_tiles() -> str | None:
    if not cpu.HAS_TILES:
        return "this processor has no AMX"
    return None if amx.permitted() else "the system does not grant AMX (arch_prctl)"


def _no_pairs() -> str | None:
    return None if cpu.HAS_PAIRS else "this processor has no AVX512-BF16"
