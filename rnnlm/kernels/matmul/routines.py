"""What kernels call by name: the walks over tiles, and the packing of panels."""

from __future__ import annotations

from typing import Any

from rnnlm.kernels import symbols
from rnnlm.kernels.matmul.layout import PACK
from rnnlm.kernels.matmul.tile import COLUMNS_TIMES_PANEL, ROWS_TIMES_PANEL

ROUTINES = (ROWS_TIMES_PANEL, COLUMNS_TIMES_PANEL, PACK)


def load(dtype: Any) -> None:
    """Make them known for packed operands of this type; before the first kernel that multiplies."""
    symbols.load(ROUTINES, dtype)
