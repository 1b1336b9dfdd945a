"""``rnnlm eval``: the perplexity of a text, and the surprisal of each token."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import STATE_HELP, JsonOption, ModelArgument, QuietOption, State, choices, number_or


def command(
    model: ModelArgument,
    text: Annotated[
        Optional[Path],
        typer.Argument(metavar="TEXT", help="A text file, plain or gzip; left out: the run's own test text."),
    ] = None,
    state: Annotated[
        Optional[State],
        typer.Option("--state", metavar=choices(State), help=f"{STATE_HELP} Left out: as in training."),
    ] = None,
    per_token: Annotated[
        Optional[Path],
        typer.Option(
            "--per-token", metavar="FILE", help="Write every token's surprisal, rank and entropy there (TSV)."
        ),
    ] = None,
    threads: Annotated[
        str, typer.Option("--threads", metavar="N|auto", callback=number_or("auto"), help="Threads.")
    ] = "auto",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Perplexity of a text, with the counts that belong to it."""
    from rnnlm import api
    from rnnlm.console import Console
    from rnnlm.console.views.evaluation import evaluation_view

    console = Console(quiet)
    network = api.load(model, threads)
    source = network.own_text() if text is None else text
    if text is None:
        found = console.watch(network.evaluating_own_text(state, per_token))
    else:
        found = console.watch(network.evaluating(path=text, state=state, per_token=per_token))
    if json:
        console.json({"text": str(source), **found.json()})
    else:
        console.show(evaluation_view(found, str(source)))
