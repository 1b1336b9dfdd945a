"""The derivation for several steps of one layer: backpropagation through time.

Yields Heading, Remark and Quantity records in the order of docs/derivation.md, section 6. What the forward pass
computes is compared with sums written out and with the training kernels; a derivative with central differences of J
as a function of just that quantity, with a weight also at one step alone. ``vector`` does the same for one step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.derivation.quantities import Checker
from rnnlm.gradients.derivation.records import Heading, Quantity, Remark
from rnnlm.gradients.derivation.unrolled import SIZES, Unrolled
from rnnlm.gradients.derivation.vector import Records
from rnnlm.gradients.window import Window
from rnnlm.network.network import Network
from rnnlm.network.parameters import B2, U

Array = NDArray[np.float64]


def through_time(network: Network, window: Window, edge: int = 0) -> Records:
    """All steps, forward, back, and summed.

    Args:
        network: float64, one layer, weights not tied; window: of one stream.
        edge: rows and columns shown at each end of a large matrix; 0: all.
    """
    net = Unrolled.of(network, window)
    checker = Checker(edge, net.given.values())
    yield from _given(net, checker)
    yield from _forward(net, checker, network, window)
    yield from _back(net, checker)
    yield from _sums(net, checker)
    yield from _kernels(net, checker, network, window)


def _symbols(name: str) -> str:
    return " x ".join(SIZES[name.split("(")[0].split("|")[0]])


def _given(net: Unrolled, checker: Checker) -> Records:
    yield Heading("given")
    what = {"h(0)": "the state before the first step", "H": "recurrent weights", "I": "input weights"}
    what |= {"b1": "bias", "U": "output weights", "b2": "output bias"}
    what |= {f"e({t})": f"the input of step {t}" for t in range(1, net.steps + 1)}
    for name, value in net.given.items():
        if name in what:
            yield checker.given(name, what[name], _symbols(name), value)
    for t in net.losses:
        target = int(net[f"y({t})"].argmax())
        yield checker.given(f"y({t})", f"1 at index {target}, the token that came", "1 x |V|", net[f"y({t})"])
    if len(net.losses) < net.steps:
        yield Remark(f"Only step {net.steps} has a loss.")


def _forward(net: Unrolled, checker: Checker, network: Network, window: Window) -> Records:
    trace = network.forward(window.read)
    hidden = trace.hidden()[0][0]
    for t in range(1, net.steps + 1):
        yield Heading(f"forward, step {t}")
        before, e, z1, h, z2 = f"h({t - 1})", f"e({t})", f"z1({t})", f"h({t})", f"z2({t})"
        yield checker.sums(
            z1, f"{before} H + {e} I + b1", "1 x D_h = (1 x D_h)(D_h x D_h) + (1 x d)(d x D_h) + 1 x D_h",
            net[z1], [(net[before], net["H"]), (net[e], net["I"])], net["b1"],
        )  # fmt: skip
        yield checker.equal(h, f"f({z1}), f = {net.activation}", "1 x D_h", net[h], hidden[t - 1], "the kernels")
        if t not in net.losses:
            continue
        symbols = "1 x |V| = (1 x D_h)(D_h x |V|) + 1 x |V|"
        yield checker.sums(z2, f"{h} U + b2", symbols, net[z2], [(net[h], net["U"])], net["b2"])
        exp_z = np.exp(net[z2] - net[z2].max())
        against = "e^z2 over their sum"
        yield checker.equal(f"y^({t})", f"softmax({z2})", "1 x |V|", net[f"y^({t})"], exp_z / exp_z.sum(), against)
        loss = np.array(-np.log(net[f"y^({t})"] @ net[f"y({t})"].T))
        yield checker.equal(
            f"J({t})", f"- sum_j y_j({t}) log y^_j({t})", "1 x 1", net[f"J({t})"], loss, "the logarithm of y^"
        )
    loss = np.array(network.loss(trace, window.targets, window.loss_steps))
    sum_of = " + ".join(f"J({t})" for t in net.losses)
    yield checker.equal("J", sum_of, "1 x 1", net["J"], loss, "the kernels")


def _back(net: Unrolled, checker: Checker) -> Records:
    d = net.derivatives()

    def derivative(rule: str, symbols: str, of: str) -> Quantity:
        return _derivative(net, checker, rule, symbols, d[of], of)

    for t in range(net.steps, 0, -1):
        yield Heading(f"back through step {t}")
        h, z1, last = f"h({t})", f"z1({t})", t == net.steps
        if t in net.losses:
            yield derivative(f"y^({t}) - y({t}) =: delta2({t})", "1 x |V|", f"z2({t})")
        terms = [f"delta2({t}) U'"] * (t in net.losses) + [f"delta1({t + 1}) H'"] * (not last)
        sizes = ["(1 x |V|)(|V| x D_h)"] * (t in net.losses) + ["(1 x D_h)(D_h x D_h)"] * (not last)
        yield derivative(" + ".join(terms), f"1 x D_h = {' + '.join(sizes)}", h)
        rules = {"sigmoid": f"{h} o (1 - {h})", "tanh": f"1 - {h} o {h}", "relu": f"1 where {h} > 0"}
        yield _f_prime(net, checker, t, rules[net.activation])
        yield derivative(f"dJ/d{h} o f'({z1}) =: delta1({t})", "1 x D_h", z1)
        yield derivative(f"delta1({t}) I'", "1 x d = (1 x D_h)(D_h x d)", f"e({t})")
    yield derivative("delta1(1) H'", "1 x D_h = (1 x D_h)(D_h x D_h)", "h(0)")


def _sums(net: Unrolled, checker: Checker) -> Records:
    """Each weight: its part at every step, and their sum."""
    yield Heading("shared weights: the sums over the steps")
    yield Remark(
        "H is used at every step. dJ/dH|t is the derivative where H changes at step t alone; where it changes at all "
        "of them, the chain rule adds these. So it is with I, b1, U and b2."
    )
    d, steps = net.derivatives(), range(1, net.steps + 1)
    rules = {
        "H": ("h({0})' delta1({1})", "D_h x D_h = (D_h x 1)(1 x D_h)"), "b1": ("delta1({1})", "1 x D_h"),
        "I": ("e({1})' delta1({1})", "d x D_h = (d x 1)(1 x D_h)"), "b2": ("delta2({1})", "1 x |V|"),
        "U": ("h({1})' delta2({1})", "D_h x |V| = (D_h x 1)(1 x |V|)"),
    }  # fmt: skip
    for name, (rule, symbols) in rules.items():
        used = net.losses if name in ("U", "b2") else steps
        terms = [rule.format(t - 1, t) for t in used]
        if len(terms) > 1:
            for t, term in zip(used, terms, strict=True):
                yield _derivative(net, checker, term, symbols, d[f"{name}|{t}"], f"{name}|{t}")
        sizes = symbols if len(terms) == 1 else _symbols(name)
        yield _derivative(net, checker, " + ".join(terms), sizes, d[name], name)


def _kernels(net: Unrolled, checker: Checker, network: Network, window: Window) -> Records:
    yield Heading("the same from the kernels that train")
    d = net.derivatives()
    _, found = network.backward(network.forward(window.read), window.targets, window.loss_steps)
    parameters = {"H": "cell.0.H", "I": "cell.0.I", "b1": "cell.0.b1", "U": U, "b2": B2}
    for name, parameter in parameters.items():
        yield checker.equal(f"dJ/d{name}", parameter, _symbols(name), d[name], found.dense[parameter], "the kernels")


def _derivative(net: Unrolled, checker: Checker, rule: str, symbols: str, value: Array, of: str) -> Quantity:
    at = net[of.split("|")[0]]
    return checker.derivative(f"dJ/d{of}", rule, symbols, value, lambda x: net.J_with({of: x}), at)


def _f_prime(net: Unrolled, checker: Checker, t: int, rule: str) -> Quantity:
    def f(z: Array) -> Any:
        return net.run({f"z1({t})": z})[f"h({t})"]

    return checker.elementwise(f"f'(z1({t}))", rule, "1 x D_h", net.f_prime(t), f, net[f"z1({t})"])
