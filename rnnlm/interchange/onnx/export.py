"""Export of a model as an ONNX graph, of standard operators alone, in float32.

    inputs    tokens             T x B int64            token ids; T and B as the caller likes
              state.0 ...        B x S float32          of each layer, before the first step
    outputs   log_probability    T x B x |V| float32    log y^(t), in nats
              state_after.0 ...  B x S float32          of each layer, after the last step: to go on from

A layer's state is h, S = D_h; an LSTM's is h and c behind one another, S = 2 D_h. Where a text begins the caller
gives the metadata's ``initial_state``, or 0 where there is none, and the line end as the first token. The graph never
resets a state: if the configuration has ``train.state: reset``, the caller does so where a line begins.

The file's metadata holds, as JSON texts: ``vocabulary`` (a list; item i is the token with id i), ``counts`` (how
often each stood in the training text), ``config`` (all sections but ``run``), ``training`` (updates, epoch,
rnnlm's version ...), ``format`` (2), and ``initial_state`` (a list of S numbers a layer).

ONNX has column vectors, so its matrices are ours transposed, and two biases where we have their sum (of a GRU's
candidate it needs both). What each cell becomes:

    elman         RNN                           f is its `activations`
    gru           GRU, linear_before_reset 1    its gates z r h are our u r n
    gru_before    GRU, linear_before_reset 0    the same
    lstm          LSTM                          its gates i o f c are our i o f g; its peepholes stand as i o f
    mingru        Scan                          h(t-1) + u o (n - h(t-1)); gates and candidates before, all at once
    scrn          Scan                          its own equations; (1 - a) stands in I

The output layer is MatMul, Add and LogSoftmax, behind another MatMul where tied weights are projected; a mixture of
softmaxes does this for all of them at once and ends in ReduceLogSumExp; an adaptive softmax does it for its head and
for each cluster. A softmax that was trained by samples is a full one here.

A coupled input gate is 1 - sigmoid(z_f) = sigmoid(-z_f), so it gets the forget gate's weights with the other sign.
ONNX's `input_forget` is not used: it makes the forget gate of the input gate, its matrices have four blocks all the
same, and not every runtime heeds it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rnnlm.config.network import Lstm, Mixture, Model, Scrn
from rnnlm.config.schema import Config
from rnnlm.errors import InputError
from rnnlm.files import atomic as storage
from rnnlm.files import model_file
from rnnlm.files.model_file import Trained
from rnnlm.interchange.sampled import as_softmax
from rnnlm.network import build
from rnnlm.network import parameters as model
from rnnlm.network.layers import layer_norm as normalization
from rnnlm.version import __version__

if TYPE_CHECKING:
    import onnx

Tensors = dict[str, np.ndarray]
Add = TypeVar("Add")

# From 13 on LogSoftmax is over one axis; the file format is that of the same time, so that older runtimes read it.
_OPSET, _IR_VERSION = 13, 7

# The file is one protobuf message, which must stay below 2 GiB; a MiB is left to what is neither weight nor metadata.
_LARGEST = 2**31 - 2**20

# The cells that are one operator, and which of our blocks of D_h columns stand where in its matrices.
_OPERATOR = {"elman": "RNN", "gru": "GRU", "gru_before": "GRU", "lstm": "LSTM"}
_ORDER = {"elman": (0,), "gru": (1, 0, 2), "gru_before": (1, 0, 2), "lstm": (0, 3, 1, 2)}
_PEEPHOLE_ORDER = (0, 2, 1)


def export(trained: Trained, path: str | Path) -> onnx.ModelProto:
    """Write a model as an ONNX file; returns it.

    Raises:
        InputError: see `to_onnx`; ResourceError: the file cannot be written.
    """
    made = to_onnx(trained)
    with storage.atomic_write(path) as file:
        file.write(made.SerializeToString())
    return made


def to_onnx(trained: Trained) -> onnx.ModelProto:
    """The model, with inputs, outputs and metadata as they stand at the top of this file.

    Raises:
        InputError: the package onnx is not installed; this file has no nodes for the cell or the output layer; the
            model is too large for one file.
    """
    trained, graph = as_softmax(trained), Graph()
    graph.inputs.append(graph.value("tokens", "T", "B", kind="INT64"))
    graph.outputs.append(graph.value("log_probability", "T", "B", len(trained.vocabulary)))
    for layer, cell in enumerate(build.cells(trained.config)):
        graph.inputs.append(graph.value(f"state.{layer}", "B", cell.state_size))
        graph.outputs.append(graph.value(f"state_after.{layer}", "B", cell.state_size))
    add_network(graph, trained.config, trained.parameters)
    header = model_file.exported_header(trained)
    return assembled(graph, {key: json.dumps(value, sort_keys=True) for key, value in header.items()})


def assembled(graph: Graph, metadata: dict[str, str]) -> onnx.ModelProto:
    """The file of a graph.

    Raises:
        InputError: it would be too large.
    """
    size = sum(value.nbytes for value in graph.weights.values()) + sum(map(len, metadata.values()))
    if size > _LARGEST:
        raise InputError(f"an ONNX file holds less than 2 GiB; this model would take {size / 2**30:.2f} GiB")
    helper = graph.onnx.helper
    made = helper.make_model(
        graph.proto("rnnlm"),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="rnnlm",
        producer_version=__version__,
    )
    helper.set_model_props(made, metadata)
    return made


class Graph:
    """Inputs, outputs, weights and nodes as they are added; values are known by their names.

    Raises:
        InputError: the package onnx is not installed.
    """

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError:
            raise InputError(
                "the package onnx is not installed; install it: pip install '.[onnx]' in a clone of rnnlm"
            ) from None
        self.onnx = onnx
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.weights: Tensors = {}
        self._nodes: list[onnx.NodeProto] = []

    def value(self, name: str, *shape: int | str, kind: str = "FLOAT") -> onnx.ValueInfoProto:
        """An input or output as the file declares it; an axis with a name may have any length."""
        return self.onnx.helper.make_tensor_value_info(name, self.onnx.TensorProto.DataType.Value(kind), shape)

    def weight(self, name: str, value: np.ndarray, dtype: type = np.float32) -> str:
        self.weights[name] = np.asarray(value, dtype, order="C")
        return name

    def node(self, operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self._nodes.append(self.onnx.helper.make_node(operator, inputs, outputs, **attributes))

    def proto(self, name: str) -> onnx.GraphProto:
        tensors = [self.onnx.numpy_helper.from_array(value, key) for key, value in self.weights.items()]
        return self.onnx.helper.make_graph(self._nodes, name, self.inputs, self.outputs, tensors)


def add_network(graph: Graph, config: Config, parameters: Tensors) -> None:
    """Add the nodes from ``tokens`` and ``state.0`` ... to ``log_probability`` and ``state_after.0`` ...

    Raises:
        InputError: this file has no nodes for the cell or the output layer.
    """
    settings, tree = config.model, model.unflatten(parameters)
    add_cell = _nodes(_CELLS, "cell", settings.cell.type)
    add_output = _nodes(_OUTPUTS, "output layer", settings.output.type)
    table = graph.weight(model.TABLE, parameters[model.TABLE])
    graph.node("Gather", [table, "tokens"], ["e"])
    e = "e"
    for layer, cell in enumerate(build.cells(config)):
        own = tree["cells"][layer]
        e = add_cell(graph, settings, own, layer, cell.D_h, e)
        if settings.layer_norm:
            g, b = (graph.weight(f"norm.{layer}.{name}", parameters[f"norm.{layer}.{name}"]) for name in ("g", "b"))
            e = _add_norm(graph, layer, g, b, e)
    add_output(graph, settings, tree["output"], e)


def _nodes(table: dict[str, Add], what: str, name: str) -> Add:
    """What adds the nodes of a cell or an output layer."""
    if name not in table:
        raise InputError(f"the export to ONNX has no nodes for the {what} {name}; it has them for {', '.join(table)}")
    return table[name]


def _add_operator(graph: Graph, settings: Model, own: Tensors, layer: int, hidden: int, e: str) -> str:
    """A layer that is one operator, from e (T x B x d); returns the name of its h, T x B x D_h."""
    cell, name = settings.cell.type, f"cell.{layer}."
    lstm = settings.cell if isinstance(settings.cell, Lstm) else Lstm()
    operator = _OPERATOR[cell]
    attributes: dict[str, Any] = {}
    if cell == "elman":
        attributes["activations"] = [settings.activation.capitalize()]
    elif operator == "GRU":
        attributes["linear_before_reset"] = int(cell == "gru")
    W, R, b1 = (_blocks(own[key], hidden, _ORDER[cell], lstm.coupled_gates) for key in ("I", "H", "b1"))
    state_bias = np.zeros_like(b1)
    if "bh" in own:
        state_bias[:, 2 * hidden :] = own["bh"]
    B = np.concatenate([b1, state_bias], axis=1)
    weights = [graph.weight(name + key, value) for key, value in (("W", W), ("R", R), ("B", B))]

    # The operators' states have an axis of directions, of which there is one: 1 x B x D_h.
    axis = {number: graph.weight(f"axis.{number}", np.array([number]), np.int64) for number in (0, 1)}
    before, after = [name + "before"], [name + "after"]
    graph.node("Unsqueeze", [f"state.{layer}", axis[0]], before)
    given, left = before, after
    if operator == "LSTM":
        given, left = ([f"{name}{part}_{when}" for part in "hc"] for when in ("before", "after"))
        graph.node("Split", before, given, axis=2)
    inputs = [e, *weights, "", *given]  # "": all sequences have T steps
    if lstm.peepholes:
        P = _blocks(own["P"].ravel(), hidden, _PEEPHOLE_ORDER, lstm.coupled_gates)
        inputs.append(graph.weight(name + "P", P))
    graph.node(operator, inputs, [name + "all", *left], hidden_size=hidden, **attributes)
    if operator == "LSTM":
        graph.node("Concat", left, after, axis=2)
    graph.node("Squeeze", [*after, axis[0]], [f"state_after.{layer}"])
    graph.node("Squeeze", [name + "all", axis[1]], [name + "h"])
    return name + "h"


def _blocks(value: np.ndarray, hidden: int, order: tuple[int, ...], coupled: bool) -> np.ndarray:
    """Blocks of D_h columns in ONNX's order, transposed, with its axis of directions in front."""
    if coupled:
        value = np.concatenate([-value[..., :hidden], value], axis=-1)
    return np.concatenate([value[..., block * hidden : (block + 1) * hidden] for block in order], axis=-1).T[None]


def _add_mingru(graph: Graph, settings: Model, own: Tensors, layer: int, hidden: int, e: str) -> str:
    """As `_add_operator`."""
    name = f"cell.{layer}."
    weights = {key: graph.weight(name + key, value) for key, value in own.items()}
    graph.node("MatMul", [e, weights["I"]], [name + "product"])
    graph.node("Add", [name + "product", weights["b1"]], [name + "z"])
    graph.node("Split", [name + "z"], [name + "z_u", name + "n"], axis=2)
    graph.node("Sigmoid", [name + "z_u"], [name + "u"])

    # The body's names must not stand outside of it too. To the next step, and to be kept: two outputs of one value.
    body = Graph()
    before, u, n, after, h = (f"{name}step.{key}" for key in ("before", "u", "n", "after", "h"))
    difference, change = f"{name}step.difference", f"{name}step.change"
    body.inputs = [body.value(key, "B", hidden) for key in (before, u, n)]
    body.node("Sub", [n, before], [difference])
    body.node("Mul", [u, difference], [change])
    body.node("Add", [before, change], [after])
    body.node("Identity", [after], [h])
    body.outputs = [body.value(key, "B", hidden) for key in (after, h)]
    graph.node(
        "Scan", [f"state.{layer}", name + "u", name + "n"], [f"state_after.{layer}", name + "h"],
        body=body.proto(f"{name}step"), num_scan_inputs=2,
    )  # fmt: skip
    return name + "h"


def _add_scrn(graph: Graph, settings: Model, own: Tensors, layer: int, hidden: int, e: str) -> str:
    """As `_add_operator`."""
    assert isinstance(settings.cell, Scrn)
    name, context, a = f"cell.{layer}.", settings.cell.context, settings.cell.context_decay
    fast = hidden - context
    bias = np.pad(own["b1"], (0, context))
    # What a slow unit takes in comes with its share of it.
    I = own["I"] * np.where(np.arange(hidden) < fast, 1, 1 - a)
    graph.node("MatMul", [e, graph.weight(name + "I", I)], [name + "product"])
    graph.node("Add", [name + "product", graph.weight(name + "b1", bias)], [name + "projected"])

    body = Graph()
    at = {key: f"{name}step.{key}" for key in (
        "before", "projected", "sizes", "h0", "s0", "for_h", "for_s", "kept", "s", "x", "product", "z1", "h", "after",
        "up",
    )}  # fmt: skip
    body.inputs = [body.value(at[key], "B", hidden) for key in ("before", "projected")]
    sizes = body.weight(at["sizes"], np.array([fast, context]), np.int64)
    decay, H = body.weight(f"{name}step.a", np.array(a)), body.weight(f"{name}step.H", own["H"])
    body.node("Split", [at["before"], sizes], [at["h0"], at["s0"]], axis=1)
    body.node("Split", [at["projected"], sizes], [at["for_h"], at["for_s"]], axis=1)
    for operator, inputs, output, attributes in (
        ("Mul", ["s0", decay], "kept", {}),
        ("Add", ["kept", "for_s"], "s", {}),
        ("Concat", ["h0", "s"], "x", {"axis": 1}),
        ("MatMul", ["x", H], "product", {}),
        ("Add", ["product", "for_h"], "z1", {}),
        ("Sigmoid", ["z1"], "h", {}),
        ("Concat", ["h", "s"], "after", {"axis": 1}),
        ("Identity", ["after"], "up", {}),
    ):
        body.node(operator, [at.get(key, key) for key in inputs], [at[output]], **attributes)
    body.outputs = [body.value(at[key], "B", hidden) for key in ("after", "up")]
    graph.node(
        "Scan", [f"state.{layer}", name + "projected"], [f"state_after.{layer}", name + "h"],
        body=body.proto(f"{name}step"), num_scan_inputs=1,
    )  # fmt: skip
    return name + "h"


def _add_softmax(graph: Graph, settings: Model, own: Tensors, h: str) -> None:
    """The output layer, from h~ (T x B x D_h)."""
    h = _projected(graph, own, h)
    _add_log_softmax(graph, h, _U(graph, settings, own), graph.weight(model.B2, own["b2"]), "log_probability")


def _projected(graph: Graph, own: Tensors, h: str) -> str:
    """What U multiplies: h, or h P where tied weights are projected."""
    if "P" not in own:
        return h
    graph.node("MatMul", [h, graph.weight("output.P", own["P"])], ["p"])
    return "p"


def _U(graph: Graph, settings: Model, own: Tensors) -> str:
    """U, or the transposed table."""
    if not settings.tie_weights:
        return graph.weight(model.U, own["U"])
    graph.node("Transpose", [model.TABLE], [model.U], perm=[1, 0])
    return model.U


def _add_log_softmax(graph: Graph, h: str, U: str, b2: str, name: str) -> None:
    graph.node("MatMul", [h, U], [f"{name}.product"])
    graph.node("Add", [f"{name}.product", b2], [f"{name}.z2"])
    graph.node("LogSoftmax", [f"{name}.z2"], [name], axis=-1)


def _add_adaptive(graph: Graph, settings: Model, own: Tensors, h: str) -> None:
    """As `_add_softmax`: the head's log-probabilities, and each cluster's own beside that of the cluster. Where
    weights are tied, the rows of the table that they are stand in the file once more."""
    clusters = sum(name.startswith("b2_") for name in own)
    first = own["b2"].size - clusters
    U = own.get("U")
    if U is None:
        U = np.concatenate([graph.weights[model.TABLE][:first], own["E_c"]]).T
    p = _projected(graph, own, h)
    _add_log_softmax(graph, p, graph.weight(model.U, U), graph.weight(model.B2, own["b2"]), "log_a")
    columns = [f"log_a.{k}" for k in range(clusters + 1)]
    sizes = graph.weight("output.sizes", np.array([first] + [1] * clusters), np.int64)
    graph.node("Split", ["log_a", sizes], columns, axis=-1)
    parts = columns[:1]
    for k in range(1, clusters + 1):
        stop = first + own[f"b2_{k}"].size
        U = own.get(f"U_{k}", graph.weights[model.TABLE][first:stop].T)
        P_k, U_k = graph.weight(f"output.P_{k}", own[f"P_{k}"]), graph.weight(f"output.U_{k}", U)
        graph.node("MatMul", [h, P_k], [f"p_{k}"])
        _add_log_softmax(graph, f"p_{k}", U_k, graph.weight(f"output.b2_{k}", own[f"b2_{k}"]), f"log_q_{k}")
        graph.node("Add", [f"log_q_{k}", columns[k]], [f"log_y_{k}"])
        parts.append(f"log_y_{k}")
        first = stop
    graph.node("Concat", parts, ["log_probability"], axis=-1)


def _add_mixture(graph: Graph, settings: Model, own: Tensors, h: str) -> None:
    """As `_add_softmax`; the K softmaxes are an axis before the last one: log sum_k exp(log pi_k + log q_k)."""
    W, P, c, b2 = (graph.weight(f"output.{name}", own[name]) for name in ("W", "P", "c", "b2"))
    assert isinstance(settings.output, Mixture)
    count = settings.output.softmaxes
    last = graph.weight("axis.last", np.array([-1]), np.int64)
    heads = graph.weight("output.heads", np.array([0, 0, count, own["c"].size // count]), np.int64)
    for operator, inputs, output, attributes in (
        ("MatMul", [h, W], "prior", {}),
        ("LogSoftmax", ["prior"], "log_pi", {"axis": -1}),
        ("Unsqueeze", ["log_pi", last], "log_pi_column", {}),
        ("MatMul", [h, P], "hP", {}),
        ("Add", ["hP", c], "u", {}),
        ("Tanh", ["u"], "g", {}),
        ("Reshape", ["g", heads], "g_k", {}),
        ("MatMul", ["g_k", _U(graph, settings, own)], "product", {}),
        ("Add", ["product", b2], "z_k", {}),
        ("LogSoftmax", ["z_k"], "log_q", {"axis": -1}),
        ("Add", ["log_q", "log_pi_column"], "joint", {}),
        ("ReduceLogSumExp", ["joint"], "log_probability", {"axes": [2], "keepdims": 0}),
    ):
        graph.node(operator, inputs, [output], **attributes)


def _add_norm(graph: Graph, layer: int, g: str, b: str, h: str) -> str:
    """Layer normalisation in single operators: ONNX has one for it only from opset 17 on."""
    names = {part: f"norm.{layer}.{part}" for part in ("m", "c", "c2", "v", "v_eps", "s", "x", "gx", "out")}
    epsilon = graph.weight(f"norm.{layer}.eps", np.array(normalization.EPSILON))
    for operator, inputs, output, attributes in (
        ("ReduceMean", [h], "m", {"axes": [-1]}),
        ("Sub", [h, names["m"]], "c", {}),
        ("Mul", [names["c"], names["c"]], "c2", {}),
        ("ReduceMean", [names["c2"]], "v", {"axes": [-1]}),
        ("Add", [names["v"], epsilon], "v_eps", {}),
        ("Sqrt", [names["v_eps"]], "s", {}),
        ("Div", [names["c"], names["s"]], "x", {}),
        ("Mul", [names["x"], g], "gx", {}),
        ("Add", [names["gx"], b], "out", {}),
    ):
        graph.node(operator, inputs, [names[output]], **attributes)
    return names["out"]


_CELLS = dict.fromkeys(_OPERATOR, _add_operator) | {"mingru": _add_mingru, "scrn": _add_scrn}
_OUTPUTS = {"softmax": _add_softmax, "adaptive": _add_adaptive, "mixture": _add_mixture}
