"""How bfloat16 is multiplied here: by AMX, by AVX-512, or in float32 where both are no gain.

The choice follows from the processor alone, by the table below, never from a timing: the same machine gives the same
bytes. ``RNNLM_MATMUL`` forces another one, for tests and comparisons.

    amx            Intel, Sapphire Rapids and later, where Linux grants the tiles
    avx512_bf16    AMD, Zen 4 and later; on Intel's cores these products are slower than float32's
    float32        elsewhere
"""

from __future__ import annotations

import os
from typing import NamedTuple

from rnnlm.errors import InputError
from rnnlm.kernels import cpu
from rnnlm.kernels.matmul import amx
from rnnlm.kernels.matmul.layout import BFloat16Pairs, BFloat16Tiles, BFloat16x3Tiles, Layout, Numbers

VARIABLE = "RNNLM_MATMUL"
_LAYOUTS: dict[str, Layout] = {
    "amx": BFloat16Tiles, "amx_x3": BFloat16x3Tiles, "avx512_bf16": BFloat16Pairs, "float32": Numbers,
}  # fmt: skip


class Choice(NamedTuple):
    """A way to multiply, and why it was taken."""

    name: str
    why: str

    @property
    def layout(self) -> Layout:
        """Of the operands."""
        return _LAYOUTS.get(self.name, Numbers)


def choose(precision: str, before: str | None = None) -> Choice:
    """The way in which training of this precision multiplies in this process.

    Args:
        before: the way of the run that is resumed; it is kept.

    Raises:
        InputError: RNNLM_MATMUL or `before` names none, or one that this machine does not have; bfloat16x3 without
            AMX.
    """
    if precision == "bfloat16x3":
        if problem := _missing()["amx"]:
            raise InputError(f"train.precision: bfloat16x3: {problem}; take float32")
        return Choice("amx_x3", "train.precision")
    if precision != "bfloat16":
        return Choice(precision, "train.precision")
    forced = os.environ.get(VARIABLE)
    if forced and before and forced != before:
        raise InputError(
            f"{VARIABLE}={forced}: this run has multiplied by {before} so far, and its result would be another; "
            "unset it, or begin another run with --run"
        )
    missing = _missing()
    if wanted := forced or before:
        who = f"{VARIABLE}={wanted}" if forced else f"products by {wanted}, as this run has begun"
        if wanted not in missing:
            raise InputError(f"{who}: no such way to multiply; it is one of {', '.join(missing)}")
        if missing[wanted]:
            advice = "" if forced else "; go on where it was begun, or begin another run with --run"
            raise InputError(f"{who}: {missing[wanted]}{advice}")
        return Choice(wanted, f"{VARIABLE} says so" if forced else "the run has begun with it")
    return _best(missing)


def before_it_was_kept() -> str:
    """The way of a run whose state does not name one: it was chosen by the processor's features alone."""
    return "avx512_bf16" if cpu.HAS_PAIRS else "float32"


def _missing() -> dict[str, str | None]:
    """The ways, and why this machine does not have them."""
    no_tiles = None if cpu.HAS_TILES else "this processor has no AMX"
    if cpu.HAS_TILES and not amx.permitted():
        no_tiles = "the system does not grant AMX"
    return {
        "amx": no_tiles,
        "avx512_bf16": None if cpu.HAS_PAIRS else "this processor has no AVX512-BF16",
        "float32": None,
    }


def _best(missing: dict[str, str | None]) -> Choice:
    """The table of the module's beginning."""
    if not missing["amx"]:
        return Choice("amx", "the processor has AMX")
    if not missing["avx512_bf16"] and cpu.NAME.startswith("znver"):
        return Choice("avx512_bf16", f"{missing['amx']}, but AVX512-BF16")
    slow = missing["avx512_bf16"] or "its AVX512-BF16 is slower than float32"
    return Choice("float32", f"{missing['amx']}, and {slow.replace('this processor', 'it')}")
