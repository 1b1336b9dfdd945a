"""``rnnlm import``: a model from PyTorch weights."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import STATE_HELP, ForceOption, QuietOption, State, Unit, choices, refuse_given
from rnnlm.cli.first_tries import state_dict_argument


class Nonlinearity(StrEnum):
    """f of PyTorch's nn.RNN."""

    tanh = "tanh"
    relu = "relu"


def command(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", callback=state_dict_argument, help="PyTorch's state dict in a safetensors file."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to: a model file.")],
    vocab: Annotated[
        Optional[Path],
        typer.Option(
            "--vocab",
            metavar="FILE",
            help="A token and its count a line, in the order of the embedding's rows; left out: what rnnlm export "
            "wrote.",
        ),
    ] = None,
    unit: Annotated[
        Unit, typer.Option("--unit", metavar=choices(Unit), help="What a token is (with --vocab).")
    ] = Unit.word,
    lowercase: Annotated[bool, typer.Option(help="Lower-case every text (with --vocab).")] = False,
    activation: Annotated[
        Nonlinearity,
        typer.Option("--activation", metavar=choices(Nonlinearity), help="Of an nn.RNN (with --vocab)."),
    ] = Nonlinearity.tanh,
    state: Annotated[
        State,
        typer.Option("--state", metavar=choices(State), help=f"{STATE_HELP} With --vocab."),
    ] = State.carry,
    embedding: Annotated[
        Optional[str],
        typer.Option(
            "--embedding",
            metavar="NAME",
            help="The tensor of the embedding, where names and sizes do not tell it from the output layer (with "
            "--vocab).",
        ),
    ] = None,
    head: Annotated[
        Optional[str],
        typer.Option("--head", metavar="NAME", help="The weights of the output layer (with --vocab)."),
    ] = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a model of PyTorch's weights: an nn.Embedding, an nn.RNN, nn.GRU or nn.LSTM, and an nn.Linear."""
    from rnnlm.console import Console
    from rnnlm.files import output as output_file
    from rnnlm.interchange import pytorch as interchange

    output_file.check(output, "safetensors file", [file, vocab] if vocab else [file], force)
    if vocab is None:
        why = "goes with --vocab FILE; without it, FILE is what rnnlm export wrote, which says so itself"
        refuse_given(context, ("unit", "lowercase", "activation", "state"), why)
        made = interchange.import_own(file)
    else:
        words = interchange.read_vocabulary(vocab, str(unit), lowercase)
        made = interchange.import_(file, words, str(unit), str(activation), str(state), embedding, head)
    interchange.save(made, output)
    cell, sizes = made.config.model.cell.type, made.config.model.sizes
    Console(quiet).line(f"{output}: {cell}, {len(sizes)} x {sizes[0]} units, {len(made.vocabulary):,} tokens")
