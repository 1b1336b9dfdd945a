"""``rnnlm export``: a model for other programs, as PyTorch weights or an ONNX graph."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ForceOption, ModelArgument, QuietOption, choices, model_files


class Target(StrEnum):
    """What the model is written for."""

    pytorch = "pytorch"
    onnx = "onnx"


def command(
    model: ModelArgument,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to: a safetensors file (pytorch) or an ONNX file (onnx)."
        ),
    ],
    to: Annotated[
        Optional[Target],
        typer.Option(
            "--to",
            metavar=choices(Target),
            help="As what; left out: by FILE's ending. pytorch, weights as its nn.Embedding, nn.RNN, nn.GRU or "
            "nn.LSTM, and nn.Linear have them; onnx, a graph that other programs run (needs the package onnx).",
        ),
    ] = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a model for PyTorch or as an ONNX file."""
    from rnnlm.console import Console
    from rnnlm.files import model_file
    from rnnlm.files import output as output_file
    from rnnlm.interchange import pytorch as interchange
    from rnnlm.interchange.onnx import export as onnx_file

    to = to or (Target.onnx if output.suffix.lower() == ".onnx" else Target.pytorch)
    output_file.check(output, "ONNX graph" if to is Target.onnx else "safetensors file", model_files(model), force)
    trained = model_file.load(model)
    if to is Target.onnx:
        graph = onnx_file.export(trained, output).graph
        given, answered = (", ".join(value.name for value in values) for values in (graph.input, graph.output))
        says = f"{given} -> {answered}"
    else:
        says = ", ".join(interchange.export(trained, output))
    Console(quiet).line(f"{output}: {says}")
