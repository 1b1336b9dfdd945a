"""A transducer in ONNX as sherpa-onnx takes it, whose log-probabilities are the same for every sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

# Tokens before the first that a decoder sees; sherpa-onnx divides a hypothesis's score by its tokens and these.
CONTEXT = 2

_FLOATS, _IDS = 1, 7  # ONNX's numbers of float32 and int64


def write(folder: Path, tokens: list[str], log_probabilities: np.ndarray) -> dict[str, str]:
    """Write encoder, decoder, joiner and tokens; returns their paths, by the names that ``from_transducer`` has.

    Args:
        tokens: by id, the blank first; log_probabilities: T x |V|, of frame t whatever came before.
    """
    T, V = log_probabilities.shape
    frames = {"frames": log_probabilities[None].astype(np.float32), "T_V": np.array([T, V]), "T": np.array([T])}
    encoder = [
        ("Shape", ["x_lens"], "N"), ("Concat", ["N", "T_V"], "shape", {"axis": 0}),
        ("Expand", ["frames", "shape"], "encoder_out"), ("Expand", ["T", "N"], "encoder_out_lens"),
    ]  # fmt: skip
    nothing = {"nothing": np.zeros((1, 1), np.float32), "V": np.array([V]), "first": np.array([0])}
    decoder = [
        ("Shape", ["y"], "N_context"), ("Gather", ["N_context", "first"], "N"),
        ("Concat", ["N", "V"], "shape", {"axis": 0}), ("Expand", ["nothing", "shape"], "decoder_out"),
    ]  # fmt: skip
    out = {"encoder_out": (_FLOATS, ["N", T, V]), "encoder_out_lens": (_IDS, ["N"])}
    sounds = {"x": (_FLOATS, ["N", "L", 80]), "x_lens": (_IDS, ["N"])}
    _write(folder / "encoder.onnx", encoder, sounds, out, frames)
    decoded, about = {"decoder_out": (_FLOATS, ["N", V])}, {"vocab_size": V, "context_size": CONTEXT}
    _write(folder / "decoder.onnx", decoder, {"y": (_IDS, ["N", CONTEXT])}, decoded, nothing, about)
    add = [("Add", ["encoder_out", "decoder_out"], "logit")]
    _write(
        folder / "joiner.onnx", add, {"encoder_out": (_FLOATS, ["N", V])} | decoded, {"logit": (_FLOATS, ["N", V])}
    )
    (folder / "tokens.txt").write_text("".join(f"{token} {i}\n" for i, token in enumerate(tokens)))
    names = {"encoder": "encoder.onnx", "decoder": "decoder.onnx", "joiner": "joiner.onnx", "tokens": "tokens.txt"}
    return {name: str(folder / file) for name, file in names.items()}


def _write(
    path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any],
    weights: dict[str, np.ndarray] | None = None, about: dict[str, int] | None = None,
) -> None:  # fmt: skip
    """A graph. nodes: operator, inputs, output, attributes; inputs, outputs: type and shape by name."""
    from onnx import helper, numpy_helper

    made = [
        helper.make_node(operator, given, [left], **(more[0] if more else {}))
        for operator, given, left, *more in nodes
    ]
    given, left = (
        [helper.make_tensor_value_info(name, *own) for name, own in each.items()] for each in (inputs, outputs)
    )
    tensors = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(made, path.stem, given, left, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    helper.set_model_props(model, {name: str(value) for name, value in (about or {}).items()})
    path.write_bytes(model.SerializeToString())
