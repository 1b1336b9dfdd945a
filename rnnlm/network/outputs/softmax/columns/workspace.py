"""The workspace of the softmax by columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnlm.kernels import cpu
from rnnlm.kernels.matmul.layout import BY_TILES, Numbers, Packed, element_bytes, panel_width
from rnnlm.kernels.workspace import Context
from rnnlm.network.outputs.softmax.weights import Weights
from rnnlm.network.protocols import Array


class Intermediates(NamedTuple):
    """What the threads write to: their own (first index: the thread) and what all of them use. R: rows of a block."""

    group_panels: int  # that go through h U, exp and exp_z U' together
    group_rows: int  # the same of rows
    bias: np.ndarray  # b2, and enough below it to fill the last panel
    h_rows: Packed  # h packed by rows
    packed_u: Packed  # own: a group of panels of U
    packed_back: Packed  # own: a group's U'
    z: np.ndarray  # own: a panel of logits, where exp_z is rounded
    exp_z: Packed  # flat: all panels of exp_z as packed B; in scoring one a thread
    exp_z_rows: Packed  # own: a group of panels packed by rows
    lane_sums: np.ndarray  # own: R x a vector
    lane_tops: np.ndarray  # own: R x a vector
    sums: np.ndarray  # own: R; sum_j exp_z_j of the thread's columns
    tops: np.ndarray  # own: R; the largest logit there
    shift: np.ndarray  # R: s
    own_exp_z: np.ndarray  # R: exp_z_x
    own_u: np.ndarray  # R x D_h: column x of U
    dh: np.ndarray  # own: R x D_h or more; sum_j exp_z_j U_j'
    scales: np.ndarray  # R: what each row's loss counts for
    log_y: np.ndarray  # R: log y^_x, where that depends on it
    factors: np.ndarray  # 1 x R: scale / S
    factor_rows: Packed  # the same packed by rows
    whole: np.ndarray  # R: S
    scaled: np.ndarray  # R x D_h: h / S
    scaled_columns: Packed  # the same packed by columns
    scaled_panels: Packed  # own: the same packed as panels, where U is tied
    panel_columns: Packed  # own: a panel of exp_z packed by columns, where U is tied


def rows_at_once(h: Array, vocabulary: int, context: Context) -> int:
    """How many rows of h go through the layer as one block."""
    layout = context.workspace.layout
    logits = vocabulary * element_bytes(layout, h.dtype)
    # Packing U anew for each block takes longer than reading h from beyond the second cache, where products are fast.
    row = h.shape[1] * (h.itemsize if layout is Numbers else 2)
    return max(64, min(cpu.SOFTMAX_BYTES // logits, cpu.SOFTMAX_H_BYTES // row))


def intermediates(h: Array, weights: Weights, block: int, training: bool, context: Context) -> Intermediates:
    """Room for blocks of `block` rows."""
    (workspace, threads), hidden = context, h.shape[1]
    width, take = panel_width(h.dtype), workspace.take
    group_panels, most_rows = cpu.SOFTMAX_PANELS, cpu.SOFTMAX_ROWS
    if workspace.layout is not Numbers:
        group_panels, most_rows = cpu.SOFTMAX_BFLOAT16_PANELS, cpu.SOFTMAX_BFLOAT16_ROWS
    # exp_z is B of a product, too, and its rows are that product's k: whole tiles of 32.
    tile = 32 if workspace.layout in BY_TILES else cpu.ROWS
    group_rows = -(-block // -(-block // most_rows) // tile) * tile  # groups alike, of whole tiles
    panels = -(-weights.V // width)
    kept = block if training else 0
    return Intermediates(
        group_panels=group_panels,
        group_rows=group_rows,
        bias=take("bias", (panels * width,)),
        h_rows=workspace.rows("h_rows", block, hidden),
        packed_u=workspace.panels("packed_u", hidden, group_panels * width, threads),
        packed_back=workspace.panels("packed_back", group_panels * width, kept and hidden, threads),
        z=workspace.unrounded("z", threads, max(group_rows, -(-block // threads) + cpu.ROWS) * width),
        exp_z=workspace.panels("exp_z", block, (panels if training else threads) * width),
        exp_z_rows=workspace.rows("exp_z_rows", threads, group_panels * group_rows, width),
        lane_sums=take("lane_sums", (threads, block * width // 2)),
        lane_tops=take("lane_tops", (threads, block * width // 2)),
        sums=take("sums", (threads, block), np.float64),
        tops=take("tops", (threads, block), np.float64),
        shift=take("shift", (block,)),
        own_exp_z=take("own_exp_z", (block,)),
        own_u=take("own_u", (block, hidden)),
        dh=workspace.apart("dh", threads, kept, hidden),
        scales=take("scales", (block,)),
        log_y=take("log_y", (block,), np.float64),
        factors=take("factors", (1, block)),
        factor_rows=workspace.rows("factor_rows", 1, block),
        whole=take("whole", (block,)),
        scaled=take("scaled", (kept, hidden)),
        scaled_columns=workspace.columns("scaled_columns", kept, hidden),
        scaled_panels=workspace.panels("scaled_panels", kept, weights.tied and hidden, threads),
        panel_columns=workspace.columns("panel_columns", kept, width if weights.tied else 0, threads),
    )
