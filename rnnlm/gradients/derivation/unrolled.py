"""One layer unrolled over its steps: every quantity by name, and every derivative of J.

    z1(t) = h(t-1) H + e(t) I + b1     h(t) = f(z1(t))     z2(t) = h(t) U + b2     y^(t) = softmax(z2(t))
    J(t)  = - sum_j y_j(t) log y^_j(t)     J = sum of J(t) over the steps that have a loss
    delta2(t) = dJ/dz2(t) = y^(t) - y(t), 0 at a step without a loss
    dJ/dh(t)  = delta2(t) U' + delta1(t+1) H'     delta1(t) = dJ/dz1(t) = dJ/dh(t) o f'(z1(t)), 0 after the last step

The steps are 1 to T. Names are "h(0)", "z1(2)", "H" ...; "H|2" is H as step 2 alone uses it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.window import Window
from rnnlm.network.network import Network
from rnnlm.network.parameters import B2, TABLE, U
from rnnlm.network.reference import equations

Array = NDArray[np.float64]

PARAMETERS = ("H", "I", "b1", "U", "b2")
# The sizes of each quantity, by the name without its step.
SIZES = {
    "e": ("1", "d"), "h": ("1", "D_h"), "z1": ("1", "D_h"), "z2": ("1", "|V|"), "y^": ("1", "|V|"),
    "y": ("1", "|V|"), "J": ("1", "1"), "H": ("D_h", "D_h"), "I": ("d", "D_h"), "b1": ("1", "D_h"),
    "U": ("D_h", "|V|"), "b2": ("1", "|V|"),
}  # fmt: skip


class Unrolled:
    """T steps of one layer, in float64.

    Attributes:
        given: "h(0)", "e(t)", the parameters, and "y(t)" of the steps that have a loss; each a matrix.
        values: `given` and all that is computed from it.
        losses: the steps that have a loss.
    """

    def __init__(self, given: Mapping[str, Array], activation: str) -> None:
        self.given = dict(given)
        self.activation = activation
        self.steps = sum(name.startswith("e(") for name in given)
        self.losses = [t for t in range(1, self.steps + 1) if f"y({t})" in given]
        self.values = self.run({})

    @classmethod
    def of(cls, network: Network, window: Window) -> Unrolled:
        """The numbers of a network with one layer and of a window of one stream."""
        p, T = network.named, window.steps
        given = {"h(0)": np.asarray(window.states[0], np.float64)}
        given |= {f"e({t})": p[TABLE][window.inputs[t - 1]] for t in range(1, T + 1)}
        given |= {"H": p["cell.0.H"], "I": p["cell.0.I"], "b1": p["cell.0.b1"][None, :]}
        given |= {"U": p[U], "b2": p[B2][None, :]}
        for t in range(T - window.loss_steps + 1, T + 1):
            given[f"y({t})"] = np.eye(1, p[B2].size, int(window.targets[t - 1, 0]))
        return cls(given, network.config.model.activation)

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def run(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        """All values, with some of them changed; complex where these are. A changed "h(1)" is what step 2 reads and
        what the output layer reads at step 1; a changed "H|2" is H at step 2 alone."""
        v: dict[str, Any] = {**self.given, **changed}
        for t in range(1, self.steps + 1):
            I, H, b1, U, b2 = (v.get(f"{name}|{t}", v[name]) for name in ("I", "H", "b1", "U", "b2"))
            v.setdefault(f"z1({t})", equations.z1(v[f"h({t - 1})"], v[f"e({t})"], I, H, b1))
            v.setdefault(f"h({t})", equations.f(v[f"z1({t})"], self.activation))
            v.setdefault(f"z2({t})", equations.z2(v[f"h({t})"], U, b2))
            v[f"y^({t})"] = equations.softmax(v[f"z2({t})"])
            if t in self.losses:
                v[f"J({t})"] = np.reshape(equations.J_of_z2(v[f"z2({t})"], v[f"y({t})"]), (1, 1))
        v["J"] = sum(v[f"J({t})"] for t in self.losses)
        return v

    def J_with(self, changed: Mapping[str, Any]) -> Any:
        """J as a number, complex where a changed quantity is."""
        return self.run(changed)["J"][0, 0]

    def f_prime(self, step: int) -> Array:
        """f'(z1(t))."""
        return equations.f_prime(self[f"h({step})"], self.activation)

    def derivatives(self, losses: Collection[int] | None = None) -> dict[str, Array]:
        """dJ/d(name) of every name, "H|t" among them; of some of the losses alone where `losses` says which."""
        losses = self.losses if losses is None else losses
        d: dict[str, Array] = {}
        later = np.zeros_like(self["h(0)"])
        for t in range(self.steps, 0, -1):
            before, h, z1, z2, e = f"h({t - 1})", f"h({t})", f"z1({t})", f"z2({t})", f"e({t})"
            d[z2] = d[f"b2|{t}"] = (
                equations.delta2(self[f"y^({t})"], self[f"y({t})"]) if t in losses else np.zeros_like(self[z2])
            )
            d[f"U|{t}"] = equations.dJ_dweights(self[h], d[z2])
            d[h] = equations.dJ_dh_from_output(d[z2], self["U"]) + later
            d[z1] = d[f"b1|{t}"] = equations.delta1(d[h], self[h], self.activation)
            d[f"H|{t}"] = equations.dJ_dweights(self[before], d[z1])
            d[f"I|{t}"] = equations.dJ_dweights(self[e], d[z1])
            d[e] = equations.dJ_de(d[z1], self["I"])
            later = equations.dJ_dh_from_later(d[z1], self["H"])
        d["h(0)"] = later
        for name in PARAMETERS:
            d[name] = np.sum([d[f"{name}|{t}"] for t in range(1, self.steps + 1)], axis=0)
        return d
