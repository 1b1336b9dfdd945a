"""``rnnlm derive``: the derivation of the gradients with numbers, each of them checked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import Activation, JsonOption, QuietOption, choices


def command(
    context: typer.Context,
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
        Optional[Activation],
        typer.Option("--activation", metavar=choices(Activation), help="The small network's f; left out: tanh."),
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
    """The derivation of the gradients with numbers, each checked as it is printed."""
    from rnnlm.console import Console
    from rnnlm.console.views.derivation import derivation_view, verdict_view
    from rnnlm.errors import InputError
    from rnnlm.gradients import commands
    from rnnlm.gradients.derivation.records import Verdict

    if model is not None and (scalar or activation):
        option = "--scalar" if scalar else "--activation"
        raise InputError(f"{option} is for a small network; {model} has its own numbers")
    sources = {key: context.get_parameter_source(key) for key in ("embedding", "hidden", "vocabulary")}
    sizes = [key for key, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if sizes and (scalar or model is not None):
        owner = f"{model} has its own sizes" if model is not None else "the scalar one has one unit, d = D_h = 1"
        raise InputError(f"--{sizes[0]} is for the small network of matrices; {owner}")
    console = Console(quiet)
    edge = 0 if full else 3
    f = str(activation or Activation.tanh)
    if model is not None:
        walk = console.watch(commands.derive_model(model, text, at, edge))
    elif scalar:
        walk = commands.derive_scalar(f, seed)
    else:
        walk = commands.derive_small(f, embedding, hidden, vocabulary, seed, edge)
    records = []
    for record in walk:
        records.append(record)
        if not json:
            console.show(derivation_view(record, console.width))
    found = Verdict.of(records)
    if json:
        console.json({**asdict(found), "derivation": [record.json() for record in records]})
    else:
        console.show(verdict_view(found))
    if not found.passed:
        raise typer.Exit(1)
