"""The derivation for one unit over two steps: backpropagation through time in full.

    z(1) = w s(0) + v e(1) + b      s(1) = f(z(1))
    z(2) = w s(1) + v e(2) + b      s(2) = f(z(2))      o = s(2) u + c      y^ = softmax(o)      J = - log y^_x

It is the network of the other pages with d = D_h = 1 (w = H, v = I, b = b1, s = h, u = U, c = b2) and ``loss: last``,
and the kernels that train are asked for the same gradients at the end. The code counts the steps from 1; the records
have the names that `ScalarNames` gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.derivation.quantities import Checker
from rnnlm.gradients.derivation.records import Heading, Remark
from rnnlm.gradients.derivation.scalar_names import ScalarNames
from rnnlm.gradients.derivation.vector import Records
from rnnlm.gradients.window import Window
from rnnlm.network.network import Network, Trace
from rnnlm.network.parameters import B2, TABLE, U
from rnnlm.network.reference import equations

Array = NDArray[np.float64]


def scalar(network: Network, window: Window, names: ScalarNames | None = None) -> Records:
    """Walk through both steps.

    Args:
        network: float64, d = D_h = 1, one layer; window: two steps of one stream, loss_steps 1.
        names: of the quantities; None: the steps are 1 and 2.
    """
    net = _TwoSteps(network, window, names or ScalarNames())
    checker = Checker(0, [*map(np.array, net.given.values()), net.u, net.c])
    trace = network.forward(window.read)
    yield Heading("given")
    for name, value in net.given.items():
        yield checker.given(name, net.what[name], "1 x 1", np.array(value))
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
    t1, t2 = net.names.steps
    yield Heading(f"from step {t2} to step {t1}: does w belong there?")
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

    def __init__(self, network: Network, window: Window, names: ScalarNames) -> None:
        p = network.named
        self.names = names
        self.s0, self.s1, self.s2 = (names.s(t) for t in (0, 1, 2))
        self.e1, self.e2, self.z1, self.z2 = names.e(1), names.e(2), names.z(1), names.z(2)
        self.activation = network.config.model.activation
        self.given = given = {
            self.s0: float(window.states[0][0, 0]),
            self.e1: float(p[TABLE][window.inputs[0, 0], 0]),
            self.e2: float(p[TABLE][window.inputs[1, 0], 0]),
            "w": float(p["cell.0.H"][0, 0]),
            "v": float(p["cell.0.I"][0, 0]),
            "b": float(p["cell.0.b1"][0]),
        }
        first_and_second = {self.e1: "the first input", self.e2: "the second input"}
        self.what = {self.s0: "the state at the start", **first_and_second, **_WHAT}
        self.u, self.c = p[U], p[B2][None, :]
        self.y = np.eye(1, self.c.size, int(window.targets[1, 0]))
        self.values = self.run({})
        self.f1, self.f2 = (
            float(equations.f_prime(np.array(self.values[s]), self.activation)) for s in (self.s1, self.s2)
        )
        self.o = self.values[self.s2] * self.u + self.c
        self.y_hat = equations.softmax(self.o)
        self.delta2 = equations.delta2(self.y_hat, self.y)
        self.ds2 = float((self.delta2 @ self.u.T)[0, 0])
        self.delta_2 = self.ds2 * self.f2
        self.ds1 = self.delta_2 * given["w"]
        self.delta_1 = self.ds1 * self.f1
        self.dw = self.delta_2 * self.values[self.s1] + self.delta_1 * given[self.s0]
        self.dv = self.delta_2 * given[self.e2] + self.delta_1 * given[self.e1]
        self.db = self.delta_2 + self.delta_1

    def delta(self, step: int) -> str:
        """The name of dJ/dz at step 1 or 2."""
        return f"delta({self.names.steps[step - 1]})"

    def run(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        """All numbers, some of them changed; w, v and b may be changed at step 1 or 2 alone, as "w(1)"."""
        a: dict[str, Any] = {**self.given, **changed}
        for t in (1, 2):
            w, v, b = (a.get(f"{name}({t})", a[name]) for name in ("w", "v", "b"))
            before, s, e, z = self.names.s(t - 1), self.names.s(t), self.names.e(t), self.names.z(t)
            a.setdefault(z, w * a[before] + v * a[e] + b)
            a.setdefault(s, equations.f(np.array(a[z]), self.activation)[()])
        a["J"] = self.J(a[self.s2] * self.u + self.c)
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
        before, s, e, z = net.names.s(t - 1), net.names.s(t), net.names.e(t), net.names.z(t)
        terms = [(np.array([[given["w"]]]), np.array([[values[before]]]))]
        terms.append((np.array([[given["v"]]]), np.array([[given[e]]])))
        value, b = np.array([[values[z]]]), np.array([[given["b"]]])
        yield checker.sums(z, f"w {before} + v {e} + b", one, value, terms, b)
        yield checker.equal(
            s, f"f({z}), f = {net.activation}", one, np.array(values[s]), hidden[t - 1], "the kernels"
        )
    terms = [(np.array([[values[net.s2]]]), net.u)]
    yield checker.sums("o", f"{net.s2} u + c", "1 x |V|", net.o, terms, net.c)
    kernels = np.exp(network.log_distribution(trace))
    yield checker.equal("y^", "softmax(o)", "1 x |V|", net.y_hat, kernels, "the kernels")


def _last_step(net: _TwoSteps, checker: Checker) -> Records:
    number, moving, s, z, s2 = checker.along, net.moving, net.s2, net.z2, net.values[net.s2]
    yield checker.derivative("dJ/do", "y^ - y =: delta2", "1 x |V|", net.delta2, net.J, net.o)
    yield checker.derivative(
        "dJ/du", f"{s} delta2", "1 x |V|", s2 * net.delta2, lambda u: net.J(s2 * u + net.c), net.u
    )
    yield number(f"dJ/d{s}", "delta2 u'", net.ds2, moving(s))
    yield number(f"f'({z})", _F_PRIME[net.activation].format(s=s), net.f2, moving(z, s))
    yield number(net.delta(2), f"dJ/d{z} = dJ/d{s} f'({z})", net.delta_2, moving(z))


def _step_before(net: _TwoSteps, checker: Checker) -> Records:
    number, moving, w = checker.along, net.moving, net.given["w"]
    s0, s1, s2, z1, z2 = net.s0, net.s1, net.s2, net.z1, net.z2
    yield Remark(
        f"{s1} reaches {s2} only through {z2} = w {s1} + v {net.e2} + b, and d{z2}/d{s1} = w. So the chain rule "
        f"gives d{s2}/d{s1} = (d{z2}/d{s1}) f'({z2}) = w f'({z2}): yes, w belongs there, and so it does one step "
        "earlier. f' alone is the derivative by z, or by b, whose factor in z is 1."
    )
    at_1 = net.names.steps[0]
    yield number(f"d{s2}/d{s1}", f"w f'({z2})", w * net.f2, moving(s1, s2))
    yield number(f"d{s1}/d{s0}", f"w f'({z1})", w * net.f1, moving(s0, s1))
    yield number(f"d{s1}/db|{at_1}", f"f'({z1}), without w: b at step {at_1} alone", net.f1, moving("b(1)", s1))
    yield number(f"dJ/d{s1}", f"{net.delta(2)} w", net.ds1, moving(s1))
    yield number(net.delta(1), f"dJ/d{z1} = dJ/d{s1} f'({z1})", net.delta_1, moving(z1))


def _sums(net: _TwoSteps, checker: Checker) -> Records:
    number, moving, w = checker.along, net.moving, net.given["w"]
    s0, s1, z1, z2, delta1, delta2 = net.s0, net.s1, net.z1, net.z2, net.delta(1), net.delta(2)
    t1, t2 = net.names.steps
    yield Remark(
        f"w is used at both steps. Call its two uses w({t1}) and w({t2}) and change one at a time: J is a function "
        f"of both, and when they are one number, w({t1}) = w({t2}) = w, the chain rule adds the two derivatives."
    )
    before, after = net.given[s0], net.values[s1]
    at_2, at_1 = net.delta_2 * after, net.delta_1 * before
    yield number(f"dJ/dw|{t2}", f"{delta2} {s1}", at_2, moving("w(2)"))
    yield number(f"dJ/dw|{t1}", f"{delta1} {s0}", at_1, moving("w(1)"))
    yield number("dJ/dw", f"{delta2} {s1} + {delta1} {s0}", net.dw, moving("w"))
    written = net.ds2 * net.f2 * (after + w * net.f1 * before)
    rule = f"dJ/d{net.s2} f'({z2}) [ {s1} + w f'({z1}) {s0} ], written out"
    yield number("dJ/dw", rule, written, moving("w"))
    yield number("dJ/dv", f"{delta2} {net.e2} + {delta1} {net.e1}", net.dv, moving("v"))
    yield number("dJ/db", f"{delta2} + {delta1}", net.db, moving("b"))
    yield number(f"dJ/d{s0}", f"{delta1} w", net.delta_1 * w, moving(s0))
    yield Remark(
        f"Truncation after one step keeps dJ/dw|{t2} = {at_2:.6g} and loses dJ/dw|{t1} = {at_1:.6g}, "
        f"which is w f'({z1}) {s0} / {s1} times as large: one more factor w f' for every step further back."
    )


_WHAT = {
    "w": "recurrent weight, H",
    "v": "input weight, I",
    "b": "bias, b1",
}
_F_PRIME = {"sigmoid": "{s} (1 - {s})", "tanh": "1 - {s}^2", "relu": "1 where {s} > 0"}
