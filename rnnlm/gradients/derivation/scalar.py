"""The derivation for one unit over two steps: backpropagation through time in full.

    z(1) = w s(0) + v e(1) + b      s(1) = f(z(1))
    z(2) = w s(1) + v e(2) + b      s(2) = f(z(2))      o = s(2) u + c      y^ = softmax(o)      J = - log y^_x

It is the network of the other pages with d = D_h = 1 (w = H, v = I, b = b1, s = h, u = U, c = b2) and ``loss: last``,
and the kernels that train are asked for the same gradients at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.derivation.quantities import Checker
from rnnlm.gradients.derivation.records import Heading, Remark
from rnnlm.gradients.derivation.vector import Records
from rnnlm.gradients.window import Window
from rnnlm.network.network import Network
from rnnlm.network.parameters import B2, TABLE, U
from rnnlm.network.reference import equations

Array = NDArray[np.float64]


def scalar(network: Network, window: Window) -> Records:
    """Walk through both steps.

    Args:
        network: float64, d = D_h = 1, one layer; window: two steps of one stream, loss_steps 1.
    """
    p = network.named
    activation = network.config.model.activation
    given = {
        "s(0)": float(window.states[0][0, 0]),
        "e(1)": float(p[TABLE][window.inputs[0, 0], 0]),
        "e(2)": float(p[TABLE][window.inputs[1, 0], 0]),
        "w": float(p["cell.0.H"][0, 0]),
        "v": float(p["cell.0.I"][0, 0]),
        "b": float(p["cell.0.b1"][0]),
    }
    u, c = p[U], p[B2][None, :]
    y = np.eye(1, c.size, int(window.targets[1, 0]))

    def run(changed: Mapping[str, float]) -> dict[str, float]:
        """All numbers, some of them changed; w, v and b may be changed at one step alone, as "w(1)"."""
        a = {**given, **changed}
        for t in (1, 2):
            w, v, b = (a.get(f"{name}({t})", a[name]) for name in ("w", "v", "b"))
            a.setdefault(f"z({t})", w * a[f"s({t - 1})"] + v * a[f"e({t})"] + b)
            a.setdefault(f"s({t})", float(equations.f(np.array(a[f"z({t})"]), activation)))
        a["J"] = J_of(a["s(2)"] * u + c)
        return a

    def J_of(o: Array) -> float:
        return equations.J(equations.softmax(o), y)

    def moving(name: str, what: str = "J") -> Callable[[float], float]:
        """`what` as a function of how far `name` is moved."""
        at = {**values, **{f"{n}({t})": values[n] for n in "wvb" for t in (1, 2)}}[name]
        return lambda by: run({name: at + by})[what]

    values = run({})
    checker = Checker(0)
    number = checker.along
    one = "1 x 1"

    yield Heading("given")
    for name, value in given.items():
        yield checker.given(name, _WHAT[name], one, np.array(value))
    yield checker.given("u", "output weights, U", "1 x |V|", u)
    yield checker.given("c", "output bias, b2", "1 x |V|", c)

    yield Heading("forward")
    trace = network.forward(window.read)
    hidden = trace.hidden()[0][0]
    for t in (1, 2):
        z = np.array([[values[f"z({t})"]]])
        terms = [(np.array([[given["w"]]]), np.array([[values[f"s({t - 1})"]]]))]
        terms.append((np.array([[given["v"]]]), np.array([[given[f"e({t})"]]])))
        yield checker.sums(f"z({t})", f"w s({t - 1}) + v e({t}) + b", one, z, terms, np.array([[given["b"]]]))
        s = np.array(values[f"s({t})"])
        yield checker.equal(f"s({t})", f"f(z({t})), f = {activation}", one, s, hidden[t - 1], "the kernels")
    o = values["s(2)"] * u + c
    yield checker.sums("o", "s(2) u + c", "1 x |V|", o, [(np.array([[values["s(2)"]]]), u)], c)
    y_hat = equations.softmax(o)
    yield checker.equal("y^", "softmax(o)", "1 x |V|", y_hat, np.exp(network.log_distribution(trace)), "the kernels")
    yield checker.given("y", "1 at the token that came", "1 x |V|", y)
    loss = np.array(network.loss(trace, window.targets, 1))
    yield checker.equal(
        "J", "- sum_j y_j log y^_j, at the last step only", one, np.array(values["J"]), loss, "the kernels"
    )

    yield Heading("back through the last step")
    delta2 = equations.delta2(y_hat, y)
    yield checker.derivative("dJ/do", "y^ - y =: delta2", "1 x |V|", delta2, J_of, o)
    yield checker.derivative(
        "dJ/du", "s(2) delta2", "1 x |V|", values["s(2)"] * delta2, lambda x: J_of(values["s(2)"] * x + c), u
    )
    f1, f2 = (float(equations.f_prime(np.array(values[f"s({t})"]), activation)) for t in (1, 2))
    w = given["w"]
    ds2 = float((delta2 @ u.T)[0, 0])
    delta_2 = ds2 * f2
    yield number("dJ/ds(2)", "delta2 u'", ds2, moving("s(2)"))
    yield number("f'(z(2))", _F_PRIME[activation].format(t=2), f2, moving("z(2)", "s(2)"))
    yield number("delta(2)", "dJ/dz(2) = dJ/ds(2) f'(z(2))", delta_2, moving("z(2)"))

    yield Heading("from step 2 to step 1: does w belong there?")
    yield Remark(
        "s(1) reaches s(2) only through z(2) = w s(1) + v e(2) + b, and dz(2)/ds(1) = w. So the chain rule gives "
        "ds(2)/ds(1) = (dz(2)/ds(1)) f'(z(2)) = w f'(z(2)): yes, w belongs there, and so it does one step earlier. "
        "f' alone is the derivative by z, or by b, whose factor in z is 1."
    )
    yield number("ds(2)/ds(1)", "w f'(z(2))", w * f2, moving("s(1)", "s(2)"))
    yield number("ds(1)/ds(0)", "w f'(z(1))", w * f1, moving("s(0)", "s(1)"))
    yield number("ds(1)/db|1", "f'(z(1)), without w: b at step 1 alone", f1, moving("b(1)", "s(1)"))
    ds1 = delta_2 * w
    delta_1 = ds1 * f1
    yield number("dJ/ds(1)", "delta(2) w", ds1, moving("s(1)"))
    yield number("delta(1)", "dJ/dz(1) = dJ/ds(1) f'(z(1))", delta_1, moving("z(1)"))

    yield Heading("a shared weight: the sum over the time steps")
    yield Remark(
        "w is used at both steps. Call its two uses w(1) and w(2) and change one at a time: J is a function of "
        "both, and when they are one number, w(1) = w(2) = w, the chain rule adds the two derivatives."
    )
    s0, s1 = given["s(0)"], values["s(1)"]
    yield number("dJ/dw|2", "delta(2) s(1)", delta_2 * s1, moving("w(2)"))
    yield number("dJ/dw|1", "delta(1) s(0)", delta_1 * s0, moving("w(1)"))
    dw = delta_2 * s1 + delta_1 * s0
    yield number("dJ/dw", "delta(2) s(1) + delta(1) s(0)", dw, moving("w"))
    written = ds2 * f2 * (s1 + w * f1 * s0)
    yield number("dJ/dw", "dJ/ds(2) f'(z(2)) [ s(1) + w f'(z(1)) s(0) ], written out", written, moving("w"))
    dv = delta_2 * given["e(2)"] + delta_1 * given["e(1)"]
    yield number("dJ/dv", "delta(2) e(2) + delta(1) e(1)", dv, moving("v"))
    yield number("dJ/db", "delta(2) + delta(1)", delta_2 + delta_1, moving("b"))
    yield number("dJ/ds(0)", "delta(1) w", delta_1 * w, moving("s(0)"))
    yield Remark(
        f"Truncation after one step keeps dJ/dw|2 = {delta_2 * s1:.6g} and loses dJ/dw|1 = {delta_1 * s0:.6g}, "
        "which is w f'(z(1)) s(0) / s(1) times as large: one more factor w f' for every step further back."
    )

    yield Heading("the same from the kernels that train")
    _, found = network.backward(trace, window.targets, 1)
    for name, parameter, value in (("dJ/dw", "H", dw), ("dJ/dv", "I", dv), ("dJ/db", "b1", delta_2 + delta_1)):
        kernel = found.dense[f"cell.0.{parameter}"]
        yield checker.equal(name, f"cell.0.{parameter}", one, np.array(value), kernel, "the kernels")


_WHAT = {
    "s(0)": "the state at the start",
    "e(1)": "the first input",
    "e(2)": "the second input",
    "w": "recurrent weight, H",
    "v": "input weight, I",
    "b": "bias, b1",
}
_F_PRIME = {"sigmoid": "s({t}) (1 - s({t}))", "tanh": "1 - s({t})^2", "relu": "1 where s({t}) > 0"}
