"""``rnnlm gradients``: a window's gradient by loss and by time lag (a ledger)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import (
    EncodingOption,
    ForceOption,
    JsonOption,
    ModelArgument,
    QuietOption,
    choices,
    encoding_of,
    model_files,
)


class FloatType(StrEnum):
    """What the kernels compute a ledger in."""

    float32 = "float32"
    float64 = "float64"


def command(
    model: ModelArgument,
    text: Annotated[Path, typer.Argument(metavar="TEXT", help="A text, plain or gzip (- is standard input).")],
    at: Annotated[int, typer.Option("--at", metavar="N", min=0, help="Tokens of the text before the window.")] = 0,
    steps: Annotated[
        Optional[int], typer.Option("--steps", metavar="T", min=1, help="Steps of the window; left out: train.bptt.")
    ] = None,
    losses: Annotated[
        Optional[int],
        typer.Option(
            "--losses", metavar="L", min=1, help="How many of the last steps have a loss; left out: as in training."
        ),
    ] = None,
    over: Annotated[
        bool,
        typer.Option("--over", help="Every model that MODEL's run has kept (train.checkpoint.keep), side by side."),
    ] = False,
    beside: Annotated[
        Optional[list[Path]],
        typer.Option("--beside", metavar="MODEL", help="Another model on the same window; may be repeated."),
    ] = None,
    encoding: EncodingOption = None,
    html: Annotated[
        Optional[Path], typer.Option("--html", metavar="FILE", help="Write a page with the pictures there.")
    ] = None,
    tsv: Annotated[
        Optional[Path],
        typer.Option("--tsv", metavar="FILE", help="Write every part there: a line for each loss, layer and lag."),
    ] = None,
    force: ForceOption = False,
    precision: Annotated[
        Optional[FloatType],
        typer.Option("--precision", metavar=choices(FloatType), help="Of the kernels; left out: the model's own."),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Split the gradient of a window by loss and by time lag: the table of the parts, a ledger."""
    from rnnlm.console import Console
    from rnnlm.console.views.ledger import ledger_view
    from rnnlm.console.views.ledgers import ledgers_view
    from rnnlm.errors import InputError
    from rnnlm.files import output as output_file
    from rnnlm.gradients import commands
    from rnnlm.gradients.ledger import files as ledger_files

    console = Console(quiet)
    settings = (text, at, steps, losses, precision, encoding_of(text, encoding))
    if over or beside:
        if html is not None or tsv is not None:
            raise InputError(
                f"{'--tsv' if html is None else '--html'}: shows one model; leave out --over and --beside"
            )
        models = commands.kept_models(model) if over else [(str(model), model)]
        models += [(str(other), other) for other in beside or []]
        sides = console.watch(commands.gradients_of_several(models, *settings))
        if json:
            console.json(ledger_files.several_as_json(sides))
        else:
            console.show(ledgers_view(sides, console.width))
        return
    reads = [text, *model_files(model)]
    if tsv is not None:
        output_file.check(tsv, "table", reads, force)
    if html is not None:
        output_file.check(html, "page", [*reads, tsv] if tsv is not None else reads, force)
    found = console.watch(commands.gradients(model, *settings))
    if tsv is not None:
        ledger_files.write_tsv(found, tsv)
    if html is not None:
        ledger_files.write_html(found, html)
    if json:
        console.json(ledger_files.as_json(found))
    else:
        console.show(ledger_view(found, console.width))
