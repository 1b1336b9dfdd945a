"""Export of a model for sherpa-onnx, which rescores the hypotheses of a recogniser with it.

    inputs    x         N x L int64    token ids, without the line ends at both sides; N and L as the caller likes
              x_lens    N int64        how many of each row count
    output    nll       N float32      - log p of each row, its line end included, in nats

These are the names, and the metadata ``sos_id``, ``eos_id`` and ``vocab_size``, of the language models that icefall
exports ("rnnlm without state"); sos and eos are both the line end. A row is read from the model's initial state on.
The ids are those of the recogniser: its tokens and the model's must have the same order.

The network is that of ``onnx.export``, whose tokens are T x N, T = L + 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnnlm.files import atomic as storage
from rnnlm.files.model_file import Trained
from rnnlm.interchange import whole_words
from rnnlm.interchange.onnx.export import Graph, add_network, assembled
from rnnlm.interchange.sampled import as_softmax
from rnnlm.network import build

if TYPE_CHECKING:
    import onnx


def export(trained: Trained, path: str | Path) -> onnx.ModelProto:
    """Write a model as an ONNX file for sherpa-onnx; returns it.

    Raises:
        InputError: see ``onnx.export.to_onnx``; ResourceError: the file cannot be written.
    """
    made = to_sherpa(trained)
    with storage.atomic_write(path) as file:
        file.write(made.SerializeToString())
    return made


def to_sherpa(trained: Trained) -> onnx.ModelProto:
    """The model, with inputs, output and metadata as they stand at the top of this file.

    Raises:
        InputError: see ``onnx.export.to_onnx``; words are not cut at white space alone.
    """
    whole_words.check(trained, "sherpa")
    trained, graph = as_softmax(trained), Graph()
    graph.inputs = [graph.value("x", "N", "L", kind="INT64"), graph.value("x_lens", "N", kind="INT64")]
    graph.outputs = [graph.value("nll", "N")]
    line_end = trained.vocabulary.line_end
    _add_tokens(graph, line_end)
    _add_states(graph, trained)
    add_network(graph, trained.config, trained.parameters)
    _add_sum(graph)
    ids = {"sos_id": line_end, "eos_id": line_end, "vocab_size": len(trained.vocabulary)}
    about = {"model_type": "rnnlm", "version": "1", "model_author": "rnnlm", "comment": "rnnlm without state"}
    return assembled(graph, about | {name: str(value) for name, value in ids.items()})


def _add_tokens(graph: Graph, line_end: int) -> None:
    """``tokens``, which begin with the line end; ``targets``, which end with it at x_lens; ``counts``: which of these
    are of the row. All T x N."""
    one, zero, end = (
        graph.weight(f"constant.{name}", np.array(value), np.int64)
        for name, value in (("one", [1]), ("zero", 0), ("line_end", [[line_end]]))
    )
    step = graph.weight("constant.step", np.array(1), np.int64)
    axis = graph.weight("constant.axis", np.array([1]), np.int64)
    for operator, inputs, output, attributes in (
        ("Shape", ["x_lens"], "N", {}),
        ("Concat", [one, "N"], "row", {"axis": 0}),
        ("Expand", [end, "row"], "line_ends", {}),
        ("Transpose", ["x"], "columns", {"perm": [1, 0]}),
        ("Concat", ["line_ends", "columns"], "tokens", {"axis": 0}),
        ("Concat", ["columns", "line_ends"], "shifted", {"axis": 0}),
        ("Shape", ["tokens"], "T_N", {}),
        ("Gather", ["T_N", zero], "T", {"axis": 0}),
        ("Range", [zero, "T", step], "t", {}),
        ("Unsqueeze", ["t", axis], "t_column", {}),
        ("Equal", ["t_column", "x_lens"], "is_end", {}),
        ("Where", ["is_end", end, "shifted"], "targets", {}),
        ("LessOrEqual", ["t_column", "x_lens"], "counts", {}),
    ):
        graph.node(operator, inputs, [output], **attributes)


def _add_states(graph: Graph, trained: Trained) -> None:
    """``state.0`` ...: the initial state for each row, N x S."""
    for layer, cell in enumerate(build.cells(trained.config)):
        size = cell.state_size
        state = np.zeros(size) if trained.initial is None else trained.initial[layer]
        initial = graph.weight(f"initial.{layer}", state[None])
        width = graph.weight(f"initial.{layer}.S", np.array([size]), np.int64)
        graph.node("Concat", ["N", width], [f"initial.{layer}.shape"], axis=0)
        graph.node("Expand", [initial, f"initial.{layer}.shape"], [f"state.{layer}"])


def _add_sum(graph: Graph) -> None:
    """``nll``: - the sum over t of log y^ of the targets that count."""
    last, first = (graph.weight(f"constant.axis.{axis}", np.array([axis]), np.int64) for axis in (2, 0))
    nothing = graph.weight("constant.nothing", np.array(0.0))
    for operator, inputs, output, attributes in (
        ("Unsqueeze", ["targets", last], "indices", {}),
        ("GatherElements", ["log_probability", "indices"], "gathered", {"axis": 2}),
        ("Squeeze", ["gathered", last], "log_y_hat", {}),
        ("Where", ["counts", "log_y_hat", nothing], "counted", {}),
        ("ReduceSum", ["counted", first], "log_p", {"keepdims": 0}),
        ("Neg", ["log_p"], "nll", {}),
    ):
        graph.node(operator, inputs, [output], **attributes)
