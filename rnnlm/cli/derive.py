from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import JsonOption, QuietOption


def command(
    model: Annotated[
        Optional[Path],
        typer.Argument(metavar="MODEL", help="A run's folder, or its model.safetensors; left out: a small network."),
    ] = None,
    text: Annotated[
        Optional[Path], typer.Argument(metavar="TEXT", help="A text for MODEL; left out: the training text.")
    ] = None,
    scalar: Annotated[
        bool, typer.Option("--scalar", help="The network of one unit over two steps, with the loss at the last one.")
    ] = False,
    activation: Annotated[
        Optional[str],
        typer.Option("--activation", metavar="tanh|sigmoid|relu", help="The small network's f; left out: tanh."),
    ] = None,
    embedding: Annotated[int, typer.Option("--embedding", metavar="D", min=1, help="The small network's d.")] = 2,
    hidden: Annotated[int, typer.Option("--hidden", metavar="D", min=1, help="The small network's D_h.")] = 3,
    vocabulary: Annotated[int, typer.Option("--vocabulary", metavar="V", min=2, help="The small network's |V|.")] = 4,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of the small network's numbers.")] = 1,
    at: Annotated[
        Optional[int],
        typer.Option("--at", metavar="N", min=0, help="Tokens of TEXT before the one that the step predicts."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show, and check, every number of every matrix.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The derivation of the gradients with real numbers, each checked as it is printed."""
    from rnnlm.console import Console
    from rnnlm.errors import InputError
    from rnnlm.gradients import commands

    if activation not in (None, "tanh", "sigmoid", "relu"):
        raise InputError(f"--activation: found {activation}; must be tanh, sigmoid or relu")
    if model is not None and (scalar or activation):
        raise InputError(
            f"--{'scalar' if scalar else 'activation'} is for a small network; {model} has its own numbers"
        )
    console = Console(quiet)
    edge = 0 if full else 3
    if model is not None:
        walk = console.watch(commands.derive_model(model, text, at, edge))
    elif scalar:
        walk = commands.derive_scalar(activation or "tanh", seed)
    else:
        walk = commands.derive_small(activation or "tanh", embedding, hidden, vocabulary, seed, edge)
    if not console.derivation(walk, json):
        raise typer.Exit(1)
