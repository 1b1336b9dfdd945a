"""Backward reference of the cells: one step of each, for many losses at once.

In plain NumPy: no kernel, no block, no thread.

    back(cell, p, step, d_state) -> Back

cell: the layer, for its options; p: its parameters by name; step: what the forward pass had, of one stream; d_state:
N x S, a row for each loss, dJ/d(state after the step). The gates are computed again from what the step read. The
equations and where they are from stand at the top of each file of ``cells``.

What a step sends to a gate's weights is a column times a row, left' delta, or delta alone for a bias. Both factors
are given instead of the product, so that the norm of each part can be had without the matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.network import cells
from rnnlm.network.reference import equations

Array = NDArray[Any]
Arrays = dict[str, NDArray[Any]]


class Step(NamedTuple):
    """A step of one stream as the forward pass had it."""

    before: Array  # 1 x S, the state that it saw
    e: Array  # 1 x d
    after: Array  # 1 x S


class Back(NamedTuple):
    """What N losses send back through one step."""

    d_before: Array  # N x S, dJ/d(state that the step saw)
    de: Array  # N x d, dJ/de(t)
    left: Arrays  # 1 x m by name: the rows that stand before weights
    delta: Arrays  # N x n by name: dJ/d(what the weights make of them), as dJ/dz_f
    carried: Array | None = None  # n, the factor of the state's own path, as f in c(t) = f o c(t-1) + i o g


class Block(NamedTuple):
    """The block of a parameter that belongs to one gate: its gradient is left' delta, without a left: delta."""

    parameter: str
    gate: str  # "": the whole parameter
    place: Any  # the index of the block in the parameter
    left: str | None  # in ``Back.left``
    delta: str  # in ``Back.delta``

    @property
    def name(self) -> str:
        return f"{self.parameter}_{self.gate}" if self.gate else self.parameter


class CellBackward(NamedTuple):
    """The backward reference of one cell."""

    back: Callable[[Any, Arrays, Step, Array], Back]
    blocks: Callable[[Any], tuple[Block, ...]]
    states: Callable[[Any], dict[str, slice]]  # the state's parts by name; those that go up come first
    carried: tuple[str, str] | None  # what ``Back.carried`` is, and the state that it carries


# -- Elman
# -----------------------------------------------------------------------------------------------------------------


def elman(cell: cells.Elman, p: Arrays, step: Step, d_state: Array) -> Back:
    delta1 = equations.delta1(d_state, step.after, cell.activation)
    d_before = equations.dJ_dh_from_later(delta1, p["H"])
    return Back(d_before, equations.dJ_de(delta1, p["I"]), {"h": step.before, "e": step.e}, {"z1": delta1})


def _elman_blocks(cell: cells.Elman) -> tuple[Block, ...]:
    return Block("H", "", ..., "h", "z1"), Block("I", "", ..., "e", "z1"), Block("b1", "", ..., None, "z1")


# -- GRU
# -----------------------------------------------------------------------------------------------------------------


def gru(cell: cells.GRU, p: Arrays, step: Step, d_state: Array) -> Back:
    h, dh = step.before, d_state
    r_in, u_in, n_in = np.split(step.e @ p["I"] + p["b1"], 3, axis=1)
    r_state, u_state, m = np.split(h @ p["H"], 3, axis=1)
    m = m + p["bh"]
    r, u = _sigmoid(r_in + r_state), _sigmoid(u_in + u_state)
    n = np.tanh(n_in + r * m)
    dz_n = dh * (1 - u) * (1 - n * n)
    dm = dz_n * r
    dz_r, dz_u = dz_n * m * r * (1 - r), dh * (h - n) * u * (1 - u)
    d_before = dh * u + np.hstack([dz_r, dz_u, dm]) @ p["H"].T
    de = np.hstack([dz_r, dz_u, dz_n]) @ p["I"].T
    return Back(d_before, de, {"h": h, "e": step.e}, {"r": dz_r, "u": dz_u, "n": dz_n, "m": dm}, u[0])


def _gru_blocks(cell: cells.GRU) -> tuple[Block, ...]:
    candidates = (Block("H", "n", _columns(cell, 2), "h", "m"), Block("bh", "", ..., None, "m"))
    return (*_gates("H", "h", "ru", cell), *candidates, *_gates("I", "e", "run", cell), *_biases("run", cell))


def gru_before(cell: cells.GRUBefore, p: Arrays, step: Step, d_state: Array) -> Back:
    h, dh, D_h = step.before, d_state, cell.D_h
    r_in, u_in, n_in = np.split(step.e @ p["I"] + p["b1"], 3, axis=1)
    H_ru, H_n = p["H"][:, : 2 * D_h], p["H"][:, 2 * D_h :]
    r_state, u_state = np.split(h @ H_ru, 2, axis=1)
    r, u = _sigmoid(r_in + r_state), _sigmoid(u_in + u_state)
    q = r * h
    n = np.tanh(n_in + q @ H_n)
    dz_n = dh * (1 - u) * (1 - n * n)
    dq = dz_n @ H_n.T
    dz_r, dz_u = dq * h * r * (1 - r), dh * (h - n) * u * (1 - u)
    d_before = dh * u + dq * r + np.hstack([dz_r, dz_u]) @ H_ru.T
    de = np.hstack([dz_r, dz_u, dz_n]) @ p["I"].T
    return Back(d_before, de, {"h": h, "q": q, "e": step.e}, {"r": dz_r, "u": dz_u, "n": dz_n}, u[0])


def _gru_before_blocks(cell: cells.GRUBefore) -> tuple[Block, ...]:
    candidates = Block("H", "n", _columns(cell, 2), "q", "n")
    return (*_gates("H", "h", "ru", cell), candidates, *_gates("I", "e", "run", cell), *_biases("run", cell))


# -- LSTM
# -----------------------------------------------------------------------------------------------------------------


def lstm(cell: cells.LSTM, p: Arrays, step: Step, d_state: Array) -> Back:
    (h, c_before), (_, c) = np.split(step.before, 2, axis=1), np.split(step.after, 2, axis=1)
    dh, dc = np.split(d_state, 2, axis=1)
    z = step.e @ p["I"] + h @ p["H"] + p["b1"]
    P = dict(zip(_lstm_gates(cell).replace("g", ""), p["P"], strict=True)) if cell.peepholes else {}
    z_of = dict(zip(_lstm_gates(cell), np.split(z, len(_lstm_gates(cell)), axis=1), strict=True))
    f, g = _sigmoid(z_of["f"] + c_before * P.get("f", 0)), np.tanh(z_of["g"])
    i = 1 - f if cell.coupled_gates else _sigmoid(z_of["i"] + c_before * P.get("i", 0))
    o = _sigmoid(z_of["o"] + c * P.get("o", 0))
    tanh_c = np.tanh(c)

    dz = {"o": dh * tanh_c * o * (1 - o)}
    dc = dc + dh * o * (1 - tanh_c * tanh_c) + dz["o"] * P.get("o", 0)
    dz["g"] = dc * i * (1 - g * g)
    if cell.coupled_gates:
        dz["f"] = dc * (c_before - g) * f * (1 - f)
    else:
        dz["i"] = dc * g * i * (1 - i)
        dz["f"] = dc * c_before * f * (1 - f)
    dc_before = dc * f + sum(dz[gate] * P[gate] for gate in P if gate != "o")
    rows = np.hstack([dz[gate] for gate in _lstm_gates(cell)])
    peepholes = {f"P_{gate}": dz[gate] * (c if gate == "o" else c_before) for gate in P}
    d_before = np.hstack([rows @ p["H"].T, dc_before])
    return Back(d_before, rows @ p["I"].T, {"h": h, "e": step.e}, dz | peepholes, f[0])


def _lstm_gates(cell: cells.LSTM) -> str:
    return "fgo" if cell.coupled_gates else "ifgo"


def _lstm_blocks(cell: cells.LSTM) -> tuple[Block, ...]:
    gates = _lstm_gates(cell)
    peepholes = enumerate(gates.replace("g", "")) if cell.peepholes else ()
    return (
        *_gates("H", "h", gates, cell), *_gates("I", "e", gates, cell), *_biases(gates, cell),
        *(Block("P", gate, row, None, f"P_{gate}") for row, gate in peepholes),
    )  # fmt: skip


# -- minGRU
# -----------------------------------------------------------------------------------------------------------------


def mingru(cell: cells.MinGRU, p: Arrays, step: Step, d_state: Array) -> Back:
    h, dh = step.before, d_state
    z_u, n = np.split(step.e @ p["I"] + p["b1"], 2, axis=1)
    u = _sigmoid(z_u)
    dz_u, dn = dh * (n - h) * u * (1 - u), dh * u
    de = np.hstack([dz_u, dn]) @ p["I"].T
    return Back(dh * (1 - u), de, {"e": step.e}, {"u": dz_u, "n": dn}, 1 - u[0])


def _mingru_blocks(cell: cells.MinGRU) -> tuple[Block, ...]:
    return (*_gates("I", "e", "un", cell), *_biases("un", cell))


# -- SCRN
# -----------------------------------------------------------------------------------------------------------------


def scrn(cell: cells.SCRN, p: Arrays, step: Step, d_state: Array) -> Back:
    fast, a = cell.fast, cell.context_decay
    h_before, (h, s) = step.before[:, :fast], np.split(step.after, [fast], axis=1)
    dh, ds = np.split(d_state, [fast], axis=1)
    H_h, H_s = np.split(p["H"], [fast])
    delta1 = dh * h * (1 - h)
    ds = ds + delta1 @ H_s.T
    d_before = np.hstack([delta1 @ H_h.T, a * ds])
    d_slow = (1 - a) * ds  # dJ/d(e(t) I_s)
    de = np.hstack([delta1, d_slow]) @ p["I"].T
    left = {"h": h_before, "s": s, "e": step.e}
    return Back(d_before, de, left, {"z1": delta1, "s": d_slow}, np.full(cell.context, a))


def _scrn_blocks(cell: cells.SCRN) -> tuple[Block, ...]:
    fast = cell.fast
    return (
        Block("H", "h", np.s_[:fast], "h", "z1"), Block("H", "s", np.s_[fast:], "s", "z1"),
        Block("I", "h", np.s_[:, :fast], "e", "z1"), Block("I", "s", np.s_[:, fast:], "e", "s"),
        Block("b1", "", ..., None, "z1"),
    )  # fmt: skip


def _gates(parameter: str, left: str, gates: str, cell: Any) -> tuple[Block, ...]:
    """Blocks of a matrix in which the gates stand side by side, D_h columns each."""
    return tuple(Block(parameter, gate, _columns(cell, n), left, gate) for n, gate in enumerate(gates))


def _biases(gates: str, cell: Any) -> tuple[Block, ...]:
    return tuple(
        Block("b1", gate, np.s_[n * cell.D_h : (n + 1) * cell.D_h], None, gate) for n, gate in enumerate(gates)
    )


def _columns(cell: Any, n: int) -> Any:
    return np.s_[:, n * cell.D_h : (n + 1) * cell.D_h]


def _sigmoid(z: Array) -> Array:
    return equations.f(z, "sigmoid")


def _h_alone(cell: Any) -> dict[str, slice]:
    return {"h": slice(0, cell.D_h)}


def _h_and_c(cell: cells.LSTM) -> dict[str, slice]:
    return {"h": slice(0, cell.D_h), "c": slice(cell.D_h, 2 * cell.D_h)}


def _h_and_s(cell: cells.SCRN) -> dict[str, slice]:
    return {"h": slice(0, cell.fast), "s": slice(cell.fast, cell.D_h)}


# By the cell's class.
BACKWARD: dict[type, CellBackward] = {
    cells.Elman: CellBackward(elman, _elman_blocks, _h_alone, None),
    cells.GRU: CellBackward(gru, _gru_blocks, _h_alone, ("u", "h")),
    cells.GRUBefore: CellBackward(gru_before, _gru_before_blocks, _h_alone, ("u", "h")),
    cells.LSTM: CellBackward(lstm, _lstm_blocks, _h_and_c, ("f", "c")),
    cells.MinGRU: CellBackward(mingru, _mingru_blocks, _h_alone, ("1-u", "h")),
    cells.SCRN: CellBackward(scrn, _scrn_blocks, _h_and_s, ("a", "s")),
}
