"""The derivation for one step of a network, one quantity after the other.

Yields Heading, Remark and Quantity records in the order of docs/derivation.md. Every quantity is checked as it is
yielded. What the forward pass computes is compared with sums written out element by element and with the training
kernels; a derivative with central differences of J as a function of just that quantity. ``scalar`` does the same for
the network of one unit over two steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.derivation.quantities import Checker
from rnnlm.gradients.derivation.records import Heading, Quantity, Remark
from rnnlm.gradients.derivation.tensor import LARGEST, tensor
from rnnlm.gradients.window import Window
from rnnlm.network.network import Network
from rnnlm.network.parameters import B2, TABLE, U
from rnnlm.network.reference import equations

Array = NDArray[np.float64]
Records = Iterator[Heading | Remark | Quantity]


def vector(network: Network, window: Window, edge: int = 3, seed: int = 1, table: bool = True) -> Records:
    """One step of a network: forward and back, the third-order tensor where it is small, then by differentials, then
    with the other sign of J.

    Args:
        network: in float64; window: one step of one stream.
        edge: rows and columns shown at each end of a large matrix; 0: all.
        seed: of the random changes dU and dH of the differential form.
        table: whether e(t) is a row of a table.
    """
    step = _Step(network, window)
    checker = Checker(edge, step.given.values())
    yield from _given(step, checker, table)
    yield from _forward(step, checker)
    yield from _backward(step, checker)
    if step.layers == 1 and len(step["H"]) <= LARGEST:
        delta1 = _derivatives(step)["z1(t)"]
        yield from tensor(checker, step["h(t-1)"], step["e(t)"], step["I"], step["H"], step["b1"], delta1)
    yield from _differentials(step, checker, np.random.default_rng(seed))
    yield from _sign(step, checker)


class _Step:
    """The values of one step, each a matrix of one row or a parameter, by name; `J_with` recomputes J with some of
    them changed."""

    def __init__(self, network: Network, window: Window) -> None:
        self.network = network
        self.window = window
        self.activation = network.config.model.activation
        self.layers = len(network.cells)
        self.x, self.target = int(window.inputs[0, 0]), int(window.targets[0, 0])
        parameters = network.named
        self.tied = U not in parameters
        self.given: dict[str, Array] = {
            "e(t)": parameters[TABLE][self.x : self.x + 1],
            "U": parameters[TABLE].T if self.tied else parameters[U],
            "b2": parameters[B2][None, :],
            "y": np.eye(1, len(parameters[B2]), self.target),
        }
        for layer in range(self.layers):
            for name in ("I", "H", "b1"):
                value = parameters[f"cell.{layer}.{name}"]
                self.given[self.of(name, layer)] = value[None, :] if name == "b1" else value
            before = window.states[layer] * (0 if window.reset[0, 0] else 1)
            self.given[self.of("h(t-1)", layer)] = np.asarray(before, np.float64)
        self.values = self._run({})

    def of(self, name: str, layer: int) -> str:
        """A layer's own name of a quantity: h(t), and with several layers h[0](t), h[1](t) ..."""
        if self.layers == 1:
            return name
        letter, bracket, rest = name.partition("(")
        return f"{letter}[{layer}]{bracket}{rest}"

    def below(self, layer: int) -> str:
        """The layer's input: e(t), or the h(t) of the layer below."""
        return "e(t)" if layer == 0 else self.of("h(t)", layer - 1)

    @property
    def top(self) -> int:
        return self.layers - 1

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def J_with(self, changed: Mapping[str, Array]) -> Any:
        """J, complex where a changed quantity is."""
        return self._run(changed)["J"][()]

    def _run(self, changed: Mapping[str, Array]) -> dict[str, Array]:
        v = {**self.given, **changed}
        for layer in range(self.layers):
            before, I, H, b1, z1, h = (self.of(name, layer) for name in ("h(t-1)", "I", "H", "b1", "z1(t)", "h(t)"))
            v.setdefault(z1, equations.z1(v[before], v[self.below(layer)], v[I], v[H], v[b1]))
            v.setdefault(h, equations.f(v[z1], self.activation))
        v.setdefault("z2(t)", equations.z2(v[self.of("h(t)", self.top)], v["U"], v["b2"]))
        v["y^(t)"] = equations.softmax(v["z2(t)"])
        v["J"] = np.array(equations.J_of_z2(v["z2(t)"], v["y"]))
        return v


def _given(step: _Step, checker: Checker, table: bool) -> Records:
    """What goes in: the word, the states, and every parameter."""
    yield Heading("given")
    source = f"row x(t) = {step.x} of the table" if table else "the input"
    yield checker.given("e(t)", source, "1 x d", step["e(t)"])
    for layer in range(step.layers):
        before, H, I, b1 = (step.of(name, layer) for name in ("h(t-1)", "H", "I", "b1"))
        d = "d" if layer == 0 else "D_h"
        yield checker.given(before, "the state that the step begins from", "1 x D_h", step[before])
        yield checker.given(H, "recurrent weights", "D_h x D_h", step[H])
        yield checker.given(I, "input weights", f"{d} x D_h", step[I])
        yield checker.given(b1, "bias", "1 x D_h", step[b1])
    tied = ", the transposed table" if step.tied else ""
    yield checker.given("U", f"output weights{tied}", "D_h x |V|", step["U"])
    yield checker.given("b2", "output bias", "1 x |V|", step["b2"])
    yield checker.given("y(t)", f"1 at index {step.target}, the token that came", "1 x |V|", step["y"])


def _forward(step: _Step, checker: Checker) -> Records:
    yield Heading("forward")
    network, window = step.network, step.window
    trace = network.forward(window.read)
    hidden = [h[0] for h, _ in trace.hidden()]
    for layer in range(step.layers):
        before, I, H, b1, z1, h = (step.of(name, layer) for name in ("h(t-1)", "I", "H", "b1", "z1(t)", "h(t)"))
        below = step.below(layer)
        d = "d" if layer == 0 else "D_h"
        yield checker.sums(
            z1, f"{before} {H} + {below} {I} + {b1}",
            f"1 x D_h = (1 x D_h)(D_h x D_h) + (1 x {d})({d} x D_h) + 1 x D_h",
            step[z1], [(step[before], step[H]), (step[below], step[I])], step[b1],
        )  # fmt: skip
        yield checker.equal(h, f"f({z1}), f = {step.activation}", "1 x D_h", step[h], hidden[layer], "the kernels")
    yield checker.sums(
        "z2(t)",
        f"{h} U + b2",
        "1 x |V| = (1 x D_h)(D_h x |V|) + 1 x |V|",
        step["z2(t)"],
        [(step[h], step["U"])],
        step["b2"],
    )
    y_hat = np.exp(network.log_distribution(trace))
    yield checker.equal("y^(t)", "softmax(z2(t))", "1 x |V|", step["y^(t)"], y_hat, "the kernels")
    loss = np.array(network.loss(trace, window.targets, 1))
    yield checker.equal("J(t)", "- sum_j y_j(t) log y^_j(t)", "1 x 1", step["J"], loss, "the kernels")


def _backward(step: _Step, checker: Checker) -> Records:
    yield Heading("back, by the chain rule")

    def derivative(rule: str, symbols: str, value: Array, of: str) -> Quantity:
        return checker.derivative(f"dJ/d{of}", rule, symbols, value, lambda x: step.J_with({of: x}), step[of])

    v = _derivatives(step)
    h = step.of("h(t)", step.top)
    yield derivative("y^(t) - y(t) =: delta2(t)", "1 x |V|", v["z2(t)"], "z2(t)")
    yield derivative(f"{h}' delta2(t)", "D_h x |V| = (D_h x 1)(1 x |V|)", v["U"], "U")
    if step.tied:
        yield Remark(
            "U is the transposed embedding table here: this gradient's transpose is added to the table's own."
        )
    yield derivative("delta2(t)", "1 x |V|", v["b2"], "b2")
    above, sizes = "delta2(t) U'", "1 x D_h = (1 x |V|)(|V| x D_h)"
    for layer in range(step.top, -1, -1):
        before, I, H, b1, z1, h, delta1 = (
            step.of(name, layer) for name in ("h(t-1)", "I", "H", "b1", "z1(t)", "h(t)", "delta1(t)")
        )
        below, d = step.below(layer), "d" if layer == 0 else "D_h"
        yield derivative(above, sizes, v[h], h)
        rules = {"sigmoid": f"{h} o (1 - {h})", "tanh": f"1 - {h} o {h}", "relu": f"1 where {h} > 0"}
        yield checker.elementwise(
            f"f'({z1})", rules[step.activation], "1 x D_h", equations.f_prime(step[h], step.activation),
            lambda z: equations.f(z, step.activation), step[z1],
        )  # fmt: skip
        yield derivative(f"dJ/d{h} o f'({z1}) =: {delta1}", "1 x D_h", v[z1], z1)
        yield derivative(f"{before}' {delta1}", "D_h x D_h = (D_h x 1)(1 x D_h)", v[H], H)
        yield derivative(f"{below}' {delta1}", f"{d} x D_h = ({d} x 1)(1 x D_h)", v[I], I)
        yield derivative(delta1, "1 x D_h", v[b1], b1)
        yield derivative(f"{delta1} {H}'", "1 x D_h = (1 x D_h)(D_h x D_h)", v[before], before)
        above, sizes = f"{delta1} {I}'", f"1 x {d} = (1 x D_h)(D_h x {d})"
    yield derivative(above, sizes, v["e(t)"], "e(t)")
    yield Remark(
        "dJ/dh(t-1) is where the next step back begins: there it takes the place of delta2(t) U', and what it gives "
        "is added to the same dJ/dH, dJ/dI and dJ/db1."
    )


def _derivatives(step: _Step) -> dict[str, Array]:
    """dJ/d(name) for every quantity of the step, by the equations."""
    delta2 = equations.delta2(step["y^(t)"], step["y"])
    v = {"z2(t)": delta2, "b2": delta2}
    v["U"] = equations.dJ_dweights(step[step.of("h(t)", step.top)], delta2)
    above = equations.dJ_dh_from_output(delta2, step["U"])
    for layer in range(step.top, -1, -1):
        before, I, H, b1, z1, h = (step.of(name, layer) for name in ("h(t-1)", "I", "H", "b1", "z1(t)", "h(t)"))
        v[h] = above
        v[z1] = v[b1] = equations.delta1(above, step[h], step.activation)
        v[H] = equations.dJ_dweights(step[before], v[z1])
        v[I] = equations.dJ_dweights(step[step.below(layer)], v[z1])
        v[before] = equations.dJ_dh_from_later(v[z1], step[H])
        above = equations.dJ_de(v[z1], step[I])
    v["e(t)"] = above
    return v


def _differentials(step: _Step, checker: Checker, generator: np.random.Generator) -> Records:
    yield Heading("the same by differentials, with the Frobenius product <A, B> = sum_ij A_ij B_ij = tr(A' B)")
    v = _derivatives(step)
    names = [step.of(name, step.top) for name in ("h(t)", "h(t-1)", "H", "z1(t)", "delta1(t)")]
    n_h, n_before, n_H, n_z1, n_delta1 = names
    h, before, H = step[n_h], step[n_before], step[n_H]
    delta2, delta1 = v["z2(t)"], v[n_z1]
    f_prime = equations.f_prime(h, step.activation)

    def number(name: str, rule: str, a: Array, b: Array, of: str, change: Array) -> Quantity:
        return checker.along(name, rule, float((a * b).sum()), lambda s: step.J_with({of: step[of] + s * change}))

    dU = generator.normal(0, 1 / math.sqrt(h.size), step["U"].shape)
    yield Remark(
        f"Change U by any small dU (here a random one). dz2(t) = {n_h} dU, and J changes by dJ = <delta2(t), "
        "dz2(t)>. A factor goes to the other side of the product transposed, <a, b C> = <b' a, C>: what then "
        "stands beside dU is dJ/dU."
    )
    yield number("dJ", f"<delta2(t), {n_h} dU>", delta2, h @ dU, "U", dU)
    yield number("dJ", f"<{n_h}' delta2(t), dU>, so dJ/dU = {n_h}' delta2(t)", v["U"], dU, "U", dU)
    dH = generator.normal(0, 1 / math.sqrt(h.size), H.shape)
    dz1 = before @ dH
    dh = dz1 * f_prime
    yield Remark(
        f"Change {n_H} by any small d{n_H}: d{n_z1} = {n_before} d{n_H}, d{n_h} = f'({n_z1}) o d{n_z1}, "
        f"dz2(t) = d{n_h} U; and a factor of o goes to the other side as it is, <a, b o c> = <a o b, c>."
    )
    yield number("dJ", f"<delta2(t), d{n_h} U>", delta2, dh @ step["U"], n_H, dH)
    yield number("dJ", f"<delta2(t) U', d{n_h}>", v[n_h], dh, n_H, dH)
    yield number(
        "dJ", f"<(delta2(t) U') o f'({n_z1}), d{n_z1}> = <{n_delta1}, {n_before} d{n_H}>", delta1, dz1, n_H, dH
    )
    yield number(
        "dJ", f"<{n_before}' {n_delta1}, d{n_H}>, so dJ/d{n_H} = {n_before}' {n_delta1}", v[n_H], dH, n_H, dH
    )


def _sign(step: _Step, checker: Checker) -> Records:
    yield Heading("the sign of J")
    v = _derivatives(step)
    n_H = step.of("H", step.top)
    H, dH = step[n_H], v[n_H]
    yield Remark(
        "J = - sum_j y_j log y^_j is to fall: W becomes W - eta dJ/dW. Leave the minus out, G = sum_j y_j log y^_j "
        "= -J, and every derivative changes its sign, beginning with dG/dz2 = y - y^; G is to grow, W becomes W + "
        "eta dG/dW. It is the same W. What must not be mixed is the derivative of one with the step of the other."
    )

    def G(of: str) -> Callable[[Array], Any]:
        return lambda x: -step.J_with({of: x})

    yield checker.derivative("dG/dz2(t)", "y(t) - y^(t)", "1 x |V|", -v["z2(t)"], G("z2(t)"), step["z2(t)"])
    yield checker.derivative(f"dG/d{n_H}", f"- dJ/d{n_H}", "D_h x D_h", -dH, G(n_H), H)
    eta = 1e-4 / max(1.0, float((dH**2).sum()))
    down, up = H - eta * dH, H + eta * -dH
    yield checker.equal(
        f"{n_H} after a step", f"{n_H} - eta dJ/d{n_H} with eta = {eta:.3g}", "D_h x D_h", down, up,
        f"{n_H} + eta dG/d{n_H}",
    )  # fmt: skip
    expected = -eta * float((dH**2).sum())
    yield checker.change(
        "J's change by this step", f"- eta <dJ/d{n_H}, dJ/d{n_H}>", expected,
        lambda s: step.J_with({n_H: H - s * eta * dH}),
    )  # fmt: skip
