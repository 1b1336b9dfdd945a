"""``rnnlm gradcheck``: every gradient against central differences and complex steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import EncodingOption, JsonOption, QuietOption, SetOption, encoding_of, number_or
from rnnlm.cli.first_tries import config_or_model_argument


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|MODEL",
            callback=config_or_model_argument,
            help="A YAML file or a recipe's name, or a trained model.",
        ),
    ],
    text: Annotated[
        Optional[Path],
        typer.Argument(metavar="TEXT", help="A text (- is standard input); left out: the training text."),
    ] = None,
    encoding: EncodingOption = None,
    through: Annotated[
        Optional[str],
        typer.Option(
            "--through",
            metavar="N|all",
            callback=number_or("all"),
            help="Also differentiate through N steps before the window, and report what truncation loses.",
        ),
    ] = None,
    steps: Annotated[
        Optional[int], typer.Option("--steps", metavar="T", min=1, help="Steps of the window; left out: train.bptt.")
    ] = None,
    batch: Annotated[
        Optional[int],
        typer.Option("--batch", metavar="B", min=1, help="Streams; left out: those of training, at most 2."),
    ] = None,
    at: Annotated[
        Optional[int],
        typer.Option(
            "--at",
            metavar="N",
            min=0,
            help="Tokens of each stream before the window; left out: two windows, five with --through.",
        ),
    ] = None,
    numbers: Annotated[
        int,
        typer.Option(
            "--numbers",
            metavar="N",
            min=1,
            help="Numbers of each parameter compared one by one; all if it has no more.",
        ),
    ] = 40,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Which numbers and directions.")] = 1,
    overrides: SetOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check every gradient against central differences and complex steps; exit status 1 when one is wrong."""
    from rnnlm.console import Console
    from rnnlm.console.views.gradient_check import gradient_check_view
    from rnnlm.gradients import commands

    console = Console(quiet)
    found = console.watch(
        commands.gradcheck(
            source, overrides or (), text, steps, batch, at, through, numbers, seed, encoding_of(text, encoding)
        )
    )
    if json:
        console.json(found.json())
    else:
        console.show(gradient_check_view(found, console.width))
    if not found.passed:
        raise typer.Exit(1)
