"""``rnnlm export``: a model for other programs, as PyTorch weights, an ONNX graph, or a web page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ForceOption, ModelArgument, QuietOption, choices, model_files, refuse_given


class Target(StrEnum):
    """What the model is written for."""

    pytorch = "pytorch"
    onnx = "onnx"
    web = "web"


def command(
    context: typer.Context,
    model: ModelArgument,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Where to: a safetensors file (pytorch), an ONNX file (onnx), or a folder (web).",
        ),
    ],
    to: Annotated[
        Optional[Target],
        typer.Option(
            "--to",
            metavar=choices(Target),
            help="As what; left out: by PATH's ending (pytorch, onnx). pytorch, weights as its nn.Embedding, nn.RNN, "
            "nn.GRU or nn.LSTM, and nn.Linear have them; onnx, a graph that other programs run (needs the package "
            "onnx); web, a page for the browser that scores and samples (needs onnx, and npm for its runtime).",
        ),
    ] = None,
    runtime: Annotated[
        Optional[Path],
        typer.Option(
            "--runtime",
            metavar="FOLDER|TGZ",
            help="A copy of the npm package onnxruntime-web, for web; left out: npm gets it once.",
        ),
    ] = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a model for PyTorch, as an ONNX file, or as a page for the browser."""
    from rnnlm.console import Console
    from rnnlm.files import model_file
    from rnnlm.files import output as output_file
    from rnnlm.interchange import pytorch as interchange
    from rnnlm.interchange.onnx import export as onnx_file
    from rnnlm.interchange.web import export as page

    to = to or (Target.onnx if output.suffix.lower() == ".onnx" else Target.pytorch)
    if to is not Target.web:
        refuse_given(context, ["runtime"], "goes with --to web")
    console, reads = Console(quiet), model_files(model)
    if to is Target.web:
        page.check(output, reads, force)
        index, *_ = console.watch(page.export(model_file.load(model), output, runtime))
        console.line(f"{index}: open it in a browser; the folder is all that it needs")
        return
    output_file.check(output, "ONNX graph" if to is Target.onnx else "safetensors file", reads, force)
    trained = model_file.load(model)
    if to is Target.onnx:
        graph = onnx_file.export(trained, output).graph
        given, answered = (", ".join(value.name for value in values) for values in (graph.input, graph.output))
        says = f"{given} -> {answered}"
    else:
        says = ", ".join(interchange.export(trained, output))
    console.line(f"{output}: {says}")
