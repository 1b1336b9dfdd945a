"""The derivation for one step of an LSTM or a GRU of one layer, gate by gate.

The same walk as ``vector`` for an Elman network: the equations forward, then the chain rule back through every gate,
each derivative beside central differences of J, and at the end the kernels' gradients. The equations, and where they
are from, stand at the top of ``network.cells.lstm`` and ``network.cells.gru``. A gate's block of H, I and b1 is
called by it: H_f are the columns of H that make z_f.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.derivation.quantities import Checker
from rnnlm.gradients.derivation.records import Heading, Quantity, Remark
from rnnlm.gradients.window import Window
from rnnlm.network.network import Network, Trace
from rnnlm.network.parameters import B2, TABLE, U
from rnnlm.network.reference import equations

Array = NDArray[Any]
Values = Mapping[str, Array]
Records = Iterator[Heading | Remark | Quantity]

_ROW = "1 x D_h"


class _Forward(NamedTuple):
    """A quantity of the forward pass. products: pairs of names, a b, whose sum with `bias` it is (and `rest`, what is
    added to that element by element); none: `value` of those before it."""

    name: str
    rule: str
    value: Callable[[Values], Array]
    products: tuple[tuple[str, str], ...] = ()
    bias: str = ""
    rest: Callable[[Values], Array] | None = None


class _Back(NamedTuple):
    """dJ/d(of), by a rule from the values (v) and the derivatives before it (d)."""

    of: str
    rule: str
    value: Callable[[Values, Values], Array]


class _Cell(NamedTuple):
    """A cell's equations.

    gates: its blocks in the order of H. state_side: where h(t-1) H_x is not a summand of z_x, what it is one of, so
    that dJ/dH_x is not h(t-1)' dJ/dz_x. traced: what the kernels keep.
    """

    gates: tuple[str, ...]
    forward: tuple[_Forward, ...]
    back: tuple[_Back, ...]
    state_side: Mapping[str, str]
    traced: Callable[[Any], dict[str, Array]]


def _z(gate: str) -> _Forward:
    return _Forward(
        f"z_{gate}", f"h(t-1) H_{gate} + e(t) I_{gate} + b1_{gate}",
        lambda v: v["h(t-1)"] @ v[f"H_{gate}"] + v["e(t)"] @ v[f"I_{gate}"] + v[f"b1_{gate}"],
        (("h(t-1)", f"H_{gate}"), ("e(t)", f"I_{gate}")), f"b1_{gate}",
    )  # fmt: skip


def _sigmoid(gate: str) -> _Forward:
    return _Forward(gate, f"sigmoid(z_{gate})", lambda v: equations.f(v[f"z_{gate}"], "sigmoid"))


def _through_sigmoid(gate: str) -> _Back:
    return _Back(f"z_{gate}", f"dJ/d{gate} o {gate} o (1 - {gate})", lambda v, d: d[gate] * v[gate] * (1 - v[gate]))


def _through_tanh(name: str) -> _Back:
    return _Back(f"z_{name}", f"dJ/d{name} o (1 - {name} o {name})", lambda v, d: d[name] * (1 - v[name] ** 2))


def _blocks(array: Array, gates: tuple[str, ...]) -> dict[str, Array]:
    return dict(zip(gates, np.split(array, len(gates), axis=-1), strict=True))


_LSTM = _Cell(
    gates=("i", "f", "g", "o"),
    forward=(
        *map(_z, "ifgo"), _sigmoid("i"), _sigmoid("f"), _Forward("g", "tanh(z_g)", lambda v: np.tanh(v["z_g"])),
        _sigmoid("o"),
        _Forward("c(t)", "f o c(t-1) + i o g", lambda v: v["f"] * v["c(t-1)"] + v["i"] * v["g"]),
        _Forward("h(t)", "o o tanh(c(t))", lambda v: v["o"] * np.tanh(v["c(t)"])),
    ),
    back=(
        _Back("o", "dJ/dh(t) o tanh(c(t))", lambda v, d: d["h(t)"] * np.tanh(v["c(t)"])),
        _Back(
            "c(t)", "dJ/dh(t) o o o (1 - tanh(c(t))^2)",
            lambda v, d: d["h(t)"] * v["o"] * (1 - np.tanh(v["c(t)"]) ** 2),
        ),
        _Back("i", "dJ/dc(t) o g", lambda v, d: d["c(t)"] * v["g"]),
        _Back("f", "dJ/dc(t) o c(t-1)", lambda v, d: d["c(t)"] * v["c(t-1)"]),
        _Back("g", "dJ/dc(t) o i", lambda v, d: d["c(t)"] * v["i"]),
        _Back("c(t-1)", "dJ/dc(t) o f", lambda v, d: d["c(t)"] * v["f"]),
        _through_sigmoid("i"), _through_sigmoid("f"), _through_tanh("g"), _through_sigmoid("o"),
        _Back(
            "h(t-1)", "dJ/dz_i H_i' + dJ/dz_f H_f' + dJ/dz_g H_g' + dJ/dz_o H_o'",
            lambda v, d: sum((d[f"z_{x}"] @ v[f"H_{x}"].T for x in "ifgo"), np.zeros_like(v["h(t-1)"])),
        ),
    ),
    state_side={},
    traced=lambda trace: _blocks(trace.gates[0], ("i", "f", "g", "o")) | {"c(t)": trace.c[0], "h(t)": trace.h[0]},
)  # fmt: skip

_GRU = _Cell(
    gates=("r", "u", "n"),
    forward=(
        _z("r"), _z("u"), _sigmoid("r"), _sigmoid("u"),
        _Forward("m", "h(t-1) H_n + bh", lambda v: v["h(t-1)"] @ v["H_n"] + v["bh"], (("h(t-1)", "H_n"),), "bh"),
        _Forward(
            "z_n", "e(t) I_n + b1_n + r o m", lambda v: v["e(t)"] @ v["I_n"] + v["b1_n"] + v["r"] * v["m"],
            (("e(t)", "I_n"),), "b1_n", lambda v: v["r"] * v["m"],
        ),
        _Forward("n", "tanh(z_n)", lambda v: np.tanh(v["z_n"])),
        _Forward("h(t)", "(1 - u) o n + u o h(t-1)", lambda v: (1 - v["u"]) * v["n"] + v["u"] * v["h(t-1)"]),
    ),
    back=(
        _Back("n", "dJ/dh(t) o (1 - u)", lambda v, d: d["h(t)"] * (1 - v["u"])),
        _Back("u", "dJ/dh(t) o (h(t-1) - n)", lambda v, d: d["h(t)"] * (v["h(t-1)"] - v["n"])),
        _through_tanh("n"),
        _Back("m", "dJ/dz_n o r", lambda v, d: d["z_n"] * v["r"]),
        _Back("r", "dJ/dz_n o m", lambda v, d: d["z_n"] * v["m"]),
        _through_sigmoid("r"), _through_sigmoid("u"),
        _Back("bh", "dJ/dm", lambda v, d: d["m"]),
        _Back(
            "h(t-1)", "dJ/dh(t) o u + dJ/dz_r H_r' + dJ/dz_u H_u' + dJ/dm H_n'",
            lambda v, d: d["h(t)"] * v["u"] + d["z_r"] @ v["H_r"].T + d["z_u"] @ v["H_u"].T + d["m"] @ v["H_n"].T,
        ),
    ),
    state_side={"n": "m"},
    traced=lambda trace: _blocks(trace.gates[0], ("r", "u", "m")) | {"n": trace.n[0], "h(t)": trace.h[0]},
)  # fmt: skip

CELLS = {"lstm": _LSTM, "gru": _GRU}
_REMARKS = {
    "lstm": "dJ/dc(t-1) is dJ/dc(t) times the forget gate, number by number: no matrix and no f' stands between two "
    "steps. So over k steps it is the product of k forget gates, which may stay near 1 where a product of k "
    "matrices and f' vanishes. At the step before it is added to what dJ/dh(t-1) sends into c(t-1).",
    "gru": "Where u is near 1, dJ/dh(t-1) is dJ/dh(t), number by number: that path has no matrix and no f', and over "
    "k steps it is the product of k update gates.",
}


def gated(network: Network, window: Window, edge: int = 3) -> Records:
    """One step of an LSTM or a GRU, forward and back.

    Args:
        network: in float64, one layer, a plain LSTM (no peepholes, no coupled gates) or a GRU; window: one step of
            one stream.
        edge: rows and columns shown at each end of a large matrix; 0: all.
    """
    kind = network.config.model.cell.type
    cell, p, reset = CELLS[kind], network.named, bool(window.reset[0, 0])
    given = _given(network, cell, window, reset)
    values = _run(cell, given, {})
    checker = Checker(edge, given.values())
    trace = network.forward(window.read)
    yield Heading("given")
    tied = ", the transposed table" if U not in p else ""
    yield from _shown(cell, given, checker, tied)
    yield Heading("forward")
    also = "; the output gate is called o too" if kind == "lstm" else ""
    yield Remark(f"Between two quantities o is the elementwise product{also}.")
    yield from _forward(cell, values, checker, trace)
    y_hat, loss = np.exp(network.log_distribution(trace)), network.loss(trace, window.targets, 1)
    pairs = [(values["h(t)"], values["U"])]
    yield checker.sums("z2(t)", "h(t) U + b2", "1 x |V|", values["z2(t)"], pairs, values["b2"])
    yield checker.equal("y^(t)", "softmax(z2(t))", "1 x |V|", values["y^(t)"], y_hat, "the kernels")
    J = np.array(loss)
    yield checker.equal("J(t)", "- sum_j y_j(t) log y^_j(t)", "1 x 1", values["J"], J, "the kernels")
    yield Heading("back, by the chain rule")
    rules = list(_rules(cell))
    d = derivatives(cell, values, rules)
    for rule in rules:
        name, at = rule.of, values[rule.of]
        symbols = _symbols(name)

        def J_at(x: Array, name: str = name) -> Any:
            return _run(cell, given, {name: x})["J"][()]

        yield checker.derivative(f"dJ/d{name}", rule.rule, symbols, d[name], J_at, at)
    yield Remark(_REMARKS[kind])
    yield Heading("the same from the kernels that train")
    _, found = network.backward(trace, window.targets, 1)
    for block in ("H", "I", "b1"):
        own = np.concatenate([d[f"{block}_{gate}"] for gate in cell.gates], axis=1)
        kernel = found.dense[f"cell.0.{block}"]
        what = ", ".join(f"dJ/d{block}_{gate}" for gate in cell.gates) + " side by side"
        yield checker.equal(f"dJ/d{block}", what, _whole(block, cell), own, kernel, "the kernels")
    if not reset:
        state = np.concatenate([d[name] for name in ("h(t-1)", "c(t-1)") if name in d], axis=1)
        names = "dJ/dh(t-1)" + (" and dJ/dc(t-1)" if "c(t-1)" in d else "")
        kernel = found.states[0]
        yield checker.equal(names, "as above", "1 x S, the state's numbers", state, kernel, "the kernels")


def _given(network: Network, cell: _Cell, window: Window, reset: bool) -> dict[str, Array]:
    p = network.named
    state = network.initial[0][None, :] if reset else window.states[0]
    x, target, D_h = int(window.inputs[0, 0]), int(window.targets[0, 0]), network.cells[0].D_h
    given: dict[str, Array] = {"e(t)": p[TABLE][x : x + 1], "h(t-1)": np.asarray(state[:, :D_h], np.float64)}
    if state.shape[1] > D_h:
        given["c(t-1)"] = np.asarray(state[:, D_h:], np.float64)
    for name in ("H", "I", "b1"):
        own = p[f"cell.0.{name}"]
        blocks = _blocks(own if own.ndim == 2 else own[None, :], cell.gates)
        given |= {f"{name}_{gate}": block for gate, block in blocks.items()}
    if "cell.0.bh" in p:
        given["bh"] = p["cell.0.bh"][None, :]
    given["U"] = p[U] if U in p else p[TABLE].T
    given["b2"] = p[B2][None, :]
    given["y"] = np.eye(1, p[B2].size, target)
    return given


def _run(cell: _Cell, given: Values, changed: Values) -> dict[str, Array]:
    """All values, some of them changed."""
    v = {**given, **changed}
    for one in cell.forward:
        if one.name not in v:
            v[one.name] = one.value(v)
    v.setdefault("z2(t)", equations.z2(v["h(t)"], v["U"], v["b2"]))
    v["y^(t)"] = equations.softmax(v["z2(t)"])
    v["J"] = np.array(equations.J_of_z2(v["z2(t)"], v["y"]))
    return v


def _shown(cell: _Cell, given: Values, checker: Checker, tied: str) -> Records:
    """What goes in."""
    what = {"e(t)": "the input", "h(t-1)": "the state that the step begins from", "c(t-1)": "its second half",
            "bh": "bias of h(t-1) H_n", "U": f"output weights{tied}", "b2": "output bias"}  # fmt: skip
    kinds = {"H": "recurrent weights of", "I": "input weights of", "b1": "bias of"}
    for name, value in given.items():
        block, _, gate = name.partition("_")
        if name != "y":
            yield checker.given(name, what.get(name) or f"{kinds[block]} {gate}", _symbols(name), value)
    target = int(given["y"].argmax())
    yield checker.given("y(t)", f"1 at index {target}, the token that came", "1 x |V|", given["y"])


def _forward(cell: _Cell, v: Values, checker: Checker, trace: Trace) -> Records:
    """The cell's quantities: sums written out, the others beside what the kernels keep of them."""
    kept = cell.traced(trace.layers[0].cell)
    for one in cell.forward:
        if one.products:
            bias = v[one.bias] if one.rest is None else v[one.bias] + one.rest(v)
            pairs = [(v[a], v[b]) for a, b in one.products]
            yield checker.sums(one.name, one.rule, _ROW, v[one.name], pairs, bias)
        else:
            yield checker.equal(one.name, one.rule, _ROW, v[one.name], kept[one.name], "the kernels")


def _rules(cell: _Cell) -> Iterator[_Back]:
    """Every derivative in the order of the chain rule, from J to the input."""
    yield _Back("z2(t)", "y^(t) - y(t) =: delta2(t)", lambda v, d: equations.delta2(v["y^(t)"], v["y"]))
    yield _Back("U", "h(t)' delta2(t)", lambda v, d: v["h(t)"].T @ d["z2(t)"])
    yield _Back("b2", "delta2(t)", lambda v, d: d["z2(t)"])
    yield _Back("h(t)", "delta2(t) U'", lambda v, d: d["z2(t)"] @ v["U"].T)
    yield from cell.back
    for gate in cell.gates:
        yield from _of_weights(gate, cell.state_side.get(gate, f"z_{gate}"))
    into = " + ".join(f"dJ/dz_{gate} I_{gate}'" for gate in cell.gates)
    yield _Back(
        "e(t)", into,
        lambda v, d: sum((d[f"z_{x}"] @ v[f"I_{x}"].T for x in cell.gates), np.zeros_like(v["e(t)"])),
    )  # fmt: skip


def _of_weights(gate: str, beside_state: str) -> Iterator[_Back]:
    """Of a gate's blocks. beside_state: what h(t-1) H of the gate goes into, z or a part of it."""
    z = f"z_{gate}"
    yield _Back(f"H_{gate}", f"h(t-1)' dJ/d{beside_state}", lambda v, d: v["h(t-1)"].T @ d[beside_state])
    yield _Back(f"I_{gate}", f"e(t)' dJ/d{z}", lambda v, d: v["e(t)"].T @ d[z])
    yield _Back(f"b1_{gate}", f"dJ/d{z}", lambda v, d: d[z])


def derivatives(cell: _Cell, values: Values, rules: list[_Back]) -> dict[str, Array]:
    """dJ/d(name) of every quantity, by the rules."""
    d: dict[str, Array] = {}
    for rule in rules:
        d[rule.of] = rule.value(values, d)
    return d


def _symbols(name: str) -> str:
    """The shape of a quantity in symbols."""
    if name in ("z2(t)", "b2"):
        return "1 x |V|"
    whole = {"U": "D_h x |V|", "e(t)": "1 x d"}
    return whole.get(name) or {"H": "D_h x D_h", "I": "d x D_h"}.get(name.partition("_")[0], _ROW)


def _whole(block: str, cell: _Cell) -> str:
    wide = f"{len(cell.gates)} D_h"
    return {"H": f"D_h x {wide}", "I": f"d x {wide}", "b1": f"1 x {wide}"}[block]
