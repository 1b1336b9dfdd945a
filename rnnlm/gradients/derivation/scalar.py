"""The derivation for one unit over two steps: backpropagation through time in full.

    z(1) = w s(0) + v e(1) + b      s(1) = f(z(1))
    z(2) = w s(1) + v e(2) + b      s(2) = f(z(2))      o = s(2) u + c      y^ = softmax(o)      J = - log y^_x

It is the network of the other pages with d = D_h = 1 (w = H, v = I, b = b1, s = h, u = U, c = b2) and ``loss: last``,
and the kernels that train are asked for the same gradients at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.derivation.quantities import Checker
from rnnlm.gradients.derivation.records import Heading, Remark
from rnnlm.gradients.derivation.vector import Records
from rnnlm.gradients.window import Window
from rnnlm.network.network import Network, Trace
from rnnlm.network.parameters import B2, TABLE, U
from rnnlm.network.reference import equations

Array = NDArray[np.float64]


def scalar(network: Network, window: Window) -> Records:
    """Walk through both steps.

    Args:
        network: float64, d = D_h = 1, one layer; window: two steps of one stream, loss_steps 1.
    """
    net = _TwoSteps(network, window)
    checker = Checker(0, [*map(np.array, net.given.values()), net.u, net.c])
    trace = network.forward(window.read)
    yield Heading("given")
    for name, value in net.given.items():
        yield checker.given(name, _WHAT[name], "1 x 1", np.array(value))
    yield checker.given("u", "output weights, U", "1 x |V|", net.u)
    yield checker.given("c", "output bias, b2", "1 x |V|", net.c)
    yield checker.given("y", f"1 at index {int(net.y.argmax())}, the token that came", "1 x |V|", net.y)
    yield Heading("forward")
    yield from _forward(net, checker, network, trace)
    loss = np.array(network.loss(trace, window.targets, 1))
    what = "- sum_j y_j log y^_j, at the last step only"
    yield checker.equal("J", what, "1 x 1", np.array(net.values["J"]), loss, "the kernels")
    yield Heading("back through the last step")
    yield from _last_step(net, checker)
    yield Heading("from step 2 to step 1: does w belong there?")
    yield from _step_before(net, checker)
    yield Heading("a shared weight: the sum over the time steps")
    yield from _sums(net, checker)
    yield Heading("the same from the kernels that train")
    _, found = network.backward(trace, window.targets, 1)
    for name, parameter, value in (("dJ/dw", "H", net.dw), ("dJ/dv", "I", net.dv), ("dJ/db", "b1", net.db)):
        kernel = found.dense[f"cell.0.{parameter}"]
        yield checker.equal(name, f"cell.0.{parameter}", "1 x 1", np.array(value), kernel, "the kernels")


class _TwoSteps:
    """The network's numbers, and every derivative by hand.

    Attributes:
        given: the scalars that it starts from; u, c: 1 x |V|; y: 1 at the token that came.
        values: `given`, and z(t), s(t) and J.
        f1, f2: f'(z(1)) and f'(z(2)); delta2: dJ/do; ds2, ds1: dJ/ds(t); delta_2, delta_1: dJ/dz(t).
        dw, dv, db: dJ/dw, dJ/dv and dJ/db.
    """

    def __init__(self, network: Network, window: Window) -> None:
        p = network.named
        self.activation = network.config.model.activation
        self.given = given = {
            "s(0)": float(window.states[0][0, 0]),
            "e(1)": float(p[TABLE][window.inputs[0, 0], 0]),
            "e(2)": float(p[TABLE][window.inputs[1, 0], 0]),
            "w": float(p["cell.0.H"][0, 0]),
            "v": float(p["cell.0.I"][0, 0]),
            "b": float(p["cell.0.b1"][0]),
        }
        self.u, self.c = p[U], p[B2][None, :]
        self.y = np.eye(1, self.c.size, int(window.targets[1, 0]))
        self.values = self.run({})
        self.f1, self.f2 = (
            float(equations.f_prime(np.array(self.values[f"s({t})"]), self.activation)) for t in (1, 2)
        )
        self.o = self.values["s(2)"] * self.u + self.c
        self.y_hat = equations.softmax(self.o)
        self.delta2 = equations.delta2(self.y_hat, self.y)
        self.ds2 = float((self.delta2 @ self.u.T)[0, 0])
        self.delta_2 = self.ds2 * self.f2
        self.ds1 = self.delta_2 * given["w"]
        self.delta_1 = self.ds1 * self.f1
        self.dw = self.delta_2 * self.values["s(1)"] + self.delta_1 * given["s(0)"]
        self.dv = self.delta_2 * given["e(2)"] + self.delta_1 * given["e(1)"]
        self.db = self.delta_2 + self.delta_1

    def run(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        """All numbers, some of them changed; w, v and b may be changed at one step alone, as "w(1)"."""
        a: dict[str, Any] = {**self.given, **changed}
        for t in (1, 2):
            w, v, b = (a.get(f"{name}({t})", a[name]) for name in ("w", "v", "b"))
            a.setdefault(f"z({t})", w * a[f"s({t - 1})"] + v * a[f"e({t})"] + b)
            a.setdefault(f"s({t})", equations.f(np.array(a[f"z({t})"]), self.activation)[()])
        a["J"] = self.J(a["s(2)"] * self.u + self.c)
        return a

    def J(self, o: Array) -> Any:
        return equations.J_of_z2(o, self.y)

    def moving(self, name: str, what: str = "J") -> Callable[[Any], Any]:
        """`what` as a function of how far `name` is moved."""
        at = {**self.values, **{f"{n}({t})": self.values[n] for n in "wvb" for t in (1, 2)}}[name]
        return lambda by: self.run({name: at + by})[what]


def _forward(net: _TwoSteps, checker: Checker, network: Network, trace: Trace) -> Records:
    one, given, values = "1 x 1", net.given, net.values
    hidden = trace.hidden()[0][0]
    for t in (1, 2):
        z = np.array([[values[f"z({t})"]]])
        terms = [(np.array([[given["w"]]]), np.array([[values[f"s({t - 1})"]]]))]
        terms.append((np.array([[given["v"]]]), np.array([[given[f"e({t})"]]])))
        yield checker.sums(f"z({t})", f"w s({t - 1}) + v e({t}) + b", one, z, terms, np.array([[given["b"]]]))
        s = np.array(values[f"s({t})"])
        yield checker.equal(f"s({t})", f"f(z({t})), f = {net.activation}", one, s, hidden[t - 1], "the kernels")
    yield checker.sums("o", "s(2) u + c", "1 x |V|", net.o, [(np.array([[values["s(2)"]]]), net.u)], net.c)
    kernels = np.exp(network.log_distribution(trace))
    yield checker.equal("y^", "softmax(o)", "1 x |V|", net.y_hat, kernels, "the kernels")


def _last_step(net: _TwoSteps, checker: Checker) -> Records:
    number, moving, s2 = checker.along, net.moving, net.values["s(2)"]
    yield checker.derivative("dJ/do", "y^ - y =: delta2", "1 x |V|", net.delta2, net.J, net.o)
    yield checker.derivative(
        "dJ/du", "s(2) delta2", "1 x |V|", s2 * net.delta2, lambda u: net.J(s2 * u + net.c), net.u
    )
    yield number("dJ/ds(2)", "delta2 u'", net.ds2, moving("s(2)"))
    yield number("f'(z(2))", _F_PRIME[net.activation].format(t=2), net.f2, moving("z(2)", "s(2)"))
    yield number("delta(2)", "dJ/dz(2) = dJ/ds(2) f'(z(2))", net.delta_2, moving("z(2)"))


def _step_before(net: _TwoSteps, checker: Checker) -> Records:
    number, moving, w = checker.along, net.moving, net.given["w"]
    yield Remark(
        "s(1) reaches s(2) only through z(2) = w s(1) + v e(2) + b, and dz(2)/ds(1) = w. So the chain rule gives "
        "ds(2)/ds(1) = (dz(2)/ds(1)) f'(z(2)) = w f'(z(2)): yes, w belongs there, and so it does one step earlier. "
        "f' alone is the derivative by z, or by b, whose factor in z is 1."
    )
    yield number("ds(2)/ds(1)", "w f'(z(2))", w * net.f2, moving("s(1)", "s(2)"))
    yield number("ds(1)/ds(0)", "w f'(z(1))", w * net.f1, moving("s(0)", "s(1)"))
    yield number("ds(1)/db|1", "f'(z(1)), without w: b at step 1 alone", net.f1, moving("b(1)", "s(1)"))
    yield number("dJ/ds(1)", "delta(2) w", net.ds1, moving("s(1)"))
    yield number("delta(1)", "dJ/dz(1) = dJ/ds(1) f'(z(1))", net.delta_1, moving("z(1)"))


def _sums(net: _TwoSteps, checker: Checker) -> Records:
    number, moving, w = checker.along, net.moving, net.given["w"]
    yield Remark(
        "w is used at both steps. Call its two uses w(1) and w(2) and change one at a time: J is a function of "
        "both, and when they are one number, w(1) = w(2) = w, the chain rule adds the two derivatives."
    )
    s0, s1 = net.given["s(0)"], net.values["s(1)"]
    at_2, at_1 = net.delta_2 * s1, net.delta_1 * s0
    yield number("dJ/dw|2", "delta(2) s(1)", at_2, moving("w(2)"))
    yield number("dJ/dw|1", "delta(1) s(0)", at_1, moving("w(1)"))
    yield number("dJ/dw", "delta(2) s(1) + delta(1) s(0)", net.dw, moving("w"))
    written = net.ds2 * net.f2 * (s1 + w * net.f1 * s0)
    yield number("dJ/dw", "dJ/ds(2) f'(z(2)) [ s(1) + w f'(z(1)) s(0) ], written out", written, moving("w"))
    yield number("dJ/dv", "delta(2) e(2) + delta(1) e(1)", net.dv, moving("v"))
    yield number("dJ/db", "delta(2) + delta(1)", net.db, moving("b"))
    yield number("dJ/ds(0)", "delta(1) w", net.delta_1 * w, moving("s(0)"))
    yield Remark(
        f"Truncation after one step keeps dJ/dw|2 = {at_2:.6g} and loses dJ/dw|1 = {at_1:.6g}, "
        "which is w f'(z(1)) s(0) / s(1) times as large: one more factor w f' for every step further back."
    )


_WHAT = {
    "s(0)": "the state at the start",
    "e(1)": "the first input",
    "e(2)": "the second input",
    "w": "recurrent weight, H",
    "v": "input weight, I",
    "b": "bias, b1",
}
_F_PRIME = {"sigmoid": "s({t}) (1 - s({t}))", "tanh": "1 - s({t})^2", "relu": "1 where s({t}) > 0"}
