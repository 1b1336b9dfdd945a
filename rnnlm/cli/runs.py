"""``rnnlm runs``: runs side by side."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ForceOption, JsonOption, QuietOption, choices, refuse_given


class By(StrEnum):
    """What curves are drawn over."""

    epochs = "epochs"
    updates = "updates"
    seconds = "seconds"


def command(
    context: typer.Context,
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="A run's folder, or one that runs lie in, one or two levels below."),
    ],
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="One of validation, test, epoch, parameters, time, state and name, or a key of the configuration, such as "
            "train.learning_rate.",
        ),
    ] = "validation",
    plot: Annotated[
        Optional[Path],
        typer.Option(
            "--plot", "-o", metavar="FILE", help="Draw the curves of validation there: a name in .png or .svg."
        ),
    ] = None,
    by: Annotated[By, typer.Option("--by", metavar=choices(By), help="What the curves are drawn over.")] = By.epochs,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Runs side by side: the settings that differ, and what each run came to, the best first."""
    from rnnlm.console import Console
    from rnnlm.console.views.runs import runs_view
    from rnnlm.files import output as output_file
    from rnnlm.runs import picture
    from rnnlm.runs.ranking import rank

    console = Console(quiet)
    if plot is None:
        refuse_given(context, ["by", "force"], "goes with --plot")
    else:
        output_file.check(plot, "picture", [], force)
    found = console.watch(rank(folders, sort))
    if plot is not None:
        picture.draw(found, plot, by)
    if json:
        console.json(found.json())
    else:
        console.show(runs_view(found, console.width))
