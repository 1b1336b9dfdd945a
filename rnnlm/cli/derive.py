"""``rnnlm derive``: the derivation of the gradients with numbers, each of them checked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import (
    Activation,
    EncodingOption,
    ForceOption,
    JsonOption,
    QuietOption,
    choices,
    encoding_of,
    refuse_given,
)
from rnnlm.cli.first_tries import is_yaml, model_or_numbers_argument

_SMALL = ("embedding", "hidden", "vocabulary")


def command(
    context: typer.Context,
    model: Annotated[
        Optional[Path],
        typer.Argument(
            metavar="MODEL",
            callback=model_or_numbers_argument,
            help="A run's folder, its model.safetensors, or a YAML file of own numbers; left out: a small network.",
        ),
    ] = None,
    text: Annotated[
        Optional[Path],
        typer.Argument(metavar="TEXT", help="A text for MODEL (- is standard input); left out: the training text."),
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
    encoding: EncodingOption = None,
    full: Annotated[bool, typer.Option("--full", help="Show, and check, every number of every matrix.")] = False,
    html: Annotated[
        Optional[Path],
        typer.Option("--html", metavar="FILE", help="Of --scalar: write a page there whose numbers can be moved."),
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The derivation of the gradients with numbers, each checked as it is printed."""
    from rnnlm.console import Console
    from rnnlm.console.views.derivation import derivation_view, verdict_view
    from rnnlm.errors import InputError
    from rnnlm.files import output as output_file
    from rnnlm.gradients import commands
    from rnnlm.gradients.derivation.records import Verdict

    if model is not None:
        small = ("scalar", "activation", "seed", *_SMALL)
        refuse_given(context, small, f"is for a small network; {model} has its own numbers")
    else:
        refuse_given(context, ["at"], "goes with a MODEL and its text; a small network has one step")
        refuse_given(context, ["encoding"], "goes with a MODEL and its text; a small network has none")
    if scalar:
        refuse_given(context, _SMALL, "does not go with --scalar, which has one unit and two words")
    if html is not None:
        if not scalar:
            raise InputError("derive: --html draws the network of one unit; add --scalar")
        output_file.check(html, "page", [], force)
    console = Console(quiet)
    edge = 0 if full else 3
    f = str(activation or Activation.tanh)
    if model is not None and is_yaml(model):
        refuse_given(
            context, ["at", "encoding", "full"], f"goes with a model; {model} has numbers, all of them shown"
        )
        walk = commands.derive_numbers(model)
    elif model is not None:
        walk = console.watch(commands.derive_model(model, text, at, edge, encoding_of(text, encoding)))
    elif scalar:
        walk = commands.derive_scalar(f, seed)
    else:
        walk = commands.derive_small(f, embedding, hidden, vocabulary, seed, edge)
    records = []
    for record in walk:
        records.append(record)
        if not json:
            console.show(derivation_view(record, console.width))
    if html is not None:
        commands.write_scalar_page(f, seed, html)
    found = Verdict.of(records)
    if json:
        console.json({**asdict(found), "derivation": [record.json() for record in records]})
    else:
        console.show(verdict_view(found))
    if not found.passed:
        raise typer.Exit(1)
