"""One step of each recurrent layer by its equations alone, in plain NumPy: no kernel, no block, no thread.

    step(p, before, e, settings) -> the state after the step, B x S; its first D_h numbers are h(t)

p: the layer's parameters by name; before: the state that the step sees, B x S; e: B x d; settings: the section
`model`. Complex numbers pass through, so that a complex step can differentiate. The equations and where they are
from stand at the top of each file of ``cells``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.network import Lstm, Model, Scrn
from rnnlm.network.reference import equations

Array = NDArray[Any]
Layer = dict[str, NDArray[Any]]


def elman(p: Layer, before: Array, e: Array, settings: Model) -> Array:
    return equations.f(equations.z1(before, e, p["I"], p["H"], p["b1"]), settings.activation)


def gru(p: Layer, before: Array, e: Array, settings: Model) -> Array:
    r_in, u_in, n_in = np.split(e @ p["I"] + p["b1"], 3, axis=1)
    r_state, u_state, m = np.split(before @ p["H"], 3, axis=1)
    r, u = _sigmoid(r_in + r_state), _sigmoid(u_in + u_state)
    n = np.tanh(n_in + r * (m + p["bh"]))
    return (1 - u) * n + u * before


def gru_before(p: Layer, before: Array, e: Array, settings: Model) -> Array:
    r_in, u_in, n_in = np.split(e @ p["I"] + p["b1"], 3, axis=1)
    H_r, H_u, H_n = np.split(p["H"], 3, axis=1)
    r, u = _sigmoid(r_in + before @ H_r), _sigmoid(u_in + before @ H_u)
    return (1 - u) * np.tanh(n_in + (r * before) @ H_n) + u * before


def lstm(p: Layer, before: Array, e: Array, settings: Model) -> Array:
    own = settings.cell
    assert isinstance(own, Lstm)
    h, c = np.split(before, 2, axis=1)
    z = e @ p["I"] + h @ p["H"] + p["b1"]
    z_i, z_f, z_g, z_o = np.split(np.pad(z, ((0, 0), (z.shape[1] // 3 if own.coupled_gates else 0, 0))), 4, axis=1)
    P_i, P_f, P_o = (0, *p["P"]) if own.coupled_gates and own.peepholes else p.get("P", (0, 0, 0))
    f = _sigmoid(z_f + c * P_f)
    i = 1 - f if own.coupled_gates else _sigmoid(z_i + c * P_i)
    c = f * c + i * np.tanh(z_g)
    return np.concatenate([_sigmoid(z_o + c * P_o) * np.tanh(c), c], axis=1)


def mingru(p: Layer, before: Array, e: Array, settings: Model) -> Array:
    z_u, n = np.split(e @ p["I"] + p["b1"], 2, axis=1)
    u = _sigmoid(z_u)
    return (1 - u) * before + u * n


def scrn(p: Layer, before: Array, e: Array, settings: Model) -> Array:
    assert isinstance(settings.cell, Scrn)
    fast, a = p["b1"].size, settings.cell.context_decay
    (I_h, I_s), (H_h, H_s) = np.split(p["I"], [fast], axis=1), np.split(p["H"], [fast])
    h, s = np.split(before, [fast], axis=1)
    s = (1 - a) * (e @ I_s) + a * s
    return np.concatenate([_sigmoid(h @ H_h + s @ H_s + e @ I_h + p["b1"]), s], axis=1)


def _sigmoid(z: Array) -> Array:
    return equations.f(z, "sigmoid")


STEPS = {"elman": elman, "gru": gru, "gru_before": gru_before, "lstm": lstm, "mingru": mingru, "scrn": scrn}
