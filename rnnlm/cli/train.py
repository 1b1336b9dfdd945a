"""``rnnlm train``: training, then test perplexity and samples of the best model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ConfigArgument, JsonOption, QuietOption, SetOption, load_config


def command(
    config: ConfigArgument,
    run: Annotated[
        Optional[Path],
        typer.Option("--run", metavar="DIR", help="The run's folder (the configuration's key run)."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away the run that the folder holds.")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would take, measured here; train nothing.")
    ] = False,
    overrides: SetOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Train a network: vocabulary, embeddings, training, test perplexity, samples."""
    from rnnlm.console import Console

    console = Console(quiet)
    settings = load_config(config, overrides, run)
    if plan:
        from rnnlm.console.views.measure import plan_view
        from rnnlm.measure.plan import plan as make_plan

        found = console.watch(make_plan(settings))
        if json:
            console.json(found.json())
        else:
            console.show(plan_view(found))
        return

    from rnnlm import pipeline
    from rnnlm.interrupt import interrupts
    from rnnlm.work import Note

    with interrupts(lambda text: console.draw(Note(text))) as stop:
        result = console.watch(pipeline.run(settings, resume, stop, restart), results=not json)
    if json:
        console.json(result)
    if result["reason"] == "interrupted":
        raise typer.Exit(130)
