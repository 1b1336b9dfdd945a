"""``rnnlm export``: a model for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ForceOption, ModelArgument, QuietOption, model_files, refuse_given


class Target(StrEnum):
    """What the model is written for."""

    pytorch = "pytorch"
    espnet = "espnet"
    onnx = "onnx"
    sherpa = "sherpa"
    hf = "hf"
    word2vec = "word2vec"
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
            help="Where to: a safetensors file (pytorch, espnet), an ONNX file (onnx, sherpa), a file of word "
            "vectors (word2vec), or a folder (hf, web).",
        ),
    ],
    to: Annotated[
        Optional[Target],
        typer.Option(
            "--to",
            metavar="TARGET",
            help="As what; left out: by PATH's ending. pytorch: weights as its nn.Embedding, nn.RNN, nn.GRU or "
            "nn.LSTM, and nn.Linear have them; espnet: the same by the names of its SequentialRNNLM; onnx: a graph "
            "that other programs run; sherpa: a graph for sherpa-onnx, from tokens to the negative log-likelihood "
            "(both need the package onnx); hf: a folder that transformers loads, with code and tokenizer; word2vec: "
            "the trained word vectors (binary where PATH ends in .bin); web: a page for the browser that scores and "
            "samples (needs onnx, and npm for its runtime).",
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
    """Write a model for PyTorch, transformers, the browser or other programs."""
    from rnnlm.console import Console
    from rnnlm.files import model_file
    from rnnlm.interchange import targets
    from rnnlm.interchange.web import export as page

    console, reads = Console(quiet), model_files(model)
    if to is Target.web:
        page.check(output, reads, force)
        index, *_ = console.watch(page.export(model_file.load(model), output, runtime))
        console.line(f"{index}: open it in a browser; the folder is all that it needs")
        return
    refuse_given(context, ["runtime"], "goes with --to web")
    target = targets.TARGETS[to or targets.by_ending(output)]
    target.check(output, reads, force)
    console.line(f"{output}: {target.write(model_file.load(model), output)}")
