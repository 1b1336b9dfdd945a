"""``rnnlm export``: a model for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ForceOption, ModelArgument, QuietOption, model_files


class Target(StrEnum):
    """What the model is written for."""

    pytorch = "pytorch"
    espnet = "espnet"
    onnx = "onnx"
    sherpa = "sherpa"
    hf = "hf"
    word2vec = "word2vec"


def command(
    model: ModelArgument,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to: a safetensors file (pytorch, espnet), an ONNX file (onnx, sherpa), a folder (hf), or a "
            "file of word vectors (word2vec).",
        ),
    ],
    to: Annotated[
        Optional[Target],
        typer.Option(
            "--to",
            metavar="TARGET",
            help="As what; left out: by FILE's ending. pytorch: weights as its nn.Embedding, nn.RNN, nn.GRU or "
            "nn.LSTM, and nn.Linear have them; espnet: the same by the names of its SequentialRNNLM; onnx: a graph "
            "that other programs run; sherpa: a graph for sherpa-onnx, from tokens to the negative log-likelihood "
            "(both need the package onnx); hf: a folder that transformers loads, with code and tokenizer; word2vec: "
            "the trained word vectors (binary where FILE ends in .bin).",
        ),
    ] = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a model for PyTorch, transformers or other programs."""
    from rnnlm.console import Console
    from rnnlm.files import model_file
    from rnnlm.interchange import targets

    target = targets.TARGETS[to or targets.by_ending(output)]
    target.check(output, model_files(model), force)
    Console(quiet).line(f"{output}: {target.write(model_file.load(model), output)}")
