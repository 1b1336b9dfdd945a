"""Routines that kernels call by name: the walks over tiles, and the packing of panels."""

from __future__ import annotations

from numpy.typing import DTypeLike

from rnnlm.kernels import symbols
from rnnlm.kernels.matmul import layout
from rnnlm.kernels.matmul.amx import TILES_TIMES_PANELS
from rnnlm.kernels.matmul.layout import Layout
from rnnlm.kernels.matmul.pack import PACK
from rnnlm.kernels.matmul.tile import COLUMNS_TIMES_PANEL, ROWS_TIMES_PANEL

VECTORS = (ROWS_TIMES_PANEL, COLUMNS_TIMES_PANEL, PACK)
TILES = (TILES_TIMES_PANELS, PACK)


def load(operands: Layout, dtype: DTypeLike) -> None:
    """Make them known for operands of this layout, where C has numbers of type `dtype`; before the first kernel that
    multiplies."""
    symbols.load(TILES if operands in layout.BY_TILES else VECTORS, layout.element(operands, dtype))
