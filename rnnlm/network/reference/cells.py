"""Reference of the cells: one step of each, by its equations alone.

In plain NumPy: no kernel, no block, no thread.

    step(cell, p, before, e) -> the state after the step, B x S; its first D_h numbers are h(t)

cell: the layer, for its options; p: its parameters by name; before: the state that the step sees, B x S; e: B x d.
Complex numbers pass through, so that a complex step can differentiate. The equations and where they are from stand at
the top of each file of ``cells``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.network import cells
from rnnlm.network.reference import equations

Array = NDArray[Any]
Arrays = dict[str, NDArray[Any]]


def elman(cell: cells.Elman, p: Arrays, before: Array, e: Array) -> Array:
    return equations.f(equations.z1(before, e, p["I"], p["H"], p["b1"]), cell.activation)


def gru(cell: cells.GRU, p: Arrays, before: Array, e: Array) -> Array:
    r_in, u_in, n_in = np.split(e @ p["I"] + p["b1"], 3, axis=1)
    r_state, u_state, m = np.split(before @ p["H"], 3, axis=1)
    r, u = _sigmoid(r_in + r_state), _sigmoid(u_in + u_state)
    n = np.tanh(n_in + r * (m + p["bh"]))
    return (1 - u) * n + u * before


def gru_before(cell: cells.GRUBefore, p: Arrays, before: Array, e: Array) -> Array:
    r_in, u_in, n_in = np.split(e @ p["I"] + p["b1"], 3, axis=1)
    H_r, H_u, H_n = np.split(p["H"], 3, axis=1)
    r, u = _sigmoid(r_in + before @ H_r), _sigmoid(u_in + before @ H_u)
    return (1 - u) * np.tanh(n_in + (r * before) @ H_n) + u * before


def lstm(cell: cells.LSTM, p: Arrays, before: Array, e: Array) -> Array:
    h, c = np.split(before, 2, axis=1)
    z = e @ p["I"] + h @ p["H"] + p["b1"]
    z_i, z_f, z_g, z_o = np.split(np.pad(z, ((0, 0), (z.shape[1] // 3 if cell.coupled_gates else 0, 0))), 4, axis=1)
    P_i, P_f, P_o = (0, *p["P"]) if cell.coupled_gates and cell.peepholes else p.get("P", (0, 0, 0))
    f = _sigmoid(z_f + c * P_f)
    i = 1 - f if cell.coupled_gates else _sigmoid(z_i + c * P_i)
    c = f * c + i * np.tanh(z_g)
    return np.concatenate([_sigmoid(z_o + c * P_o) * np.tanh(c), c], axis=1)


def mingru(cell: cells.MinGRU, p: Arrays, before: Array, e: Array) -> Array:
    z_u, n = np.split(e @ p["I"] + p["b1"], 2, axis=1)
    u = _sigmoid(z_u)
    return (1 - u) * before + u * n


def scrn(cell: cells.SCRN, p: Arrays, before: Array, e: Array) -> Array:
    fast, a = p["b1"].size, cell.context_decay
    (I_h, I_s), (H_h, H_s) = np.split(p["I"], [fast], axis=1), np.split(p["H"], [fast])
    h, s = np.split(before, [fast], axis=1)
    s = (1 - a) * (e @ I_s) + a * s
    return np.concatenate([_sigmoid(h @ H_h + s @ H_s + e @ I_h + p["b1"]), s], axis=1)


def _sigmoid(z: Array) -> Array:
    return equations.f(z, "sigmoid")


# By the cell's class.
STEPS: dict[type, Callable[[Any, Arrays, Array, Array], Array]] = {
    cells.Elman: elman,
    cells.GRU: gru,
    cells.GRUBefore: gru_before,
    cells.LSTM: lstm,
    cells.MinGRU: mingru,
    cells.SCRN: scrn,
}
