"""``rnnlm train``: training, then test perplexity and samples of the best model."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from rnnlm.cli.arguments import ConfigArgument, JsonOption, QuietOption, SetOption, load_config

if TYPE_CHECKING:
    from rnnlm.config.schema import Config
    from rnnlm.console import Console
    from rnnlm.ranks.ranks import Ranks


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
    """Train a network: vocabulary, embeddings, training, test perplexity, samples.

    mpiexec -n 4 rnnlm train CONFIG trains it in 4 processes, each with its share of train.batch.
    """
    from rnnlm.console import Console
    from rnnlm.ranks.launch import joined

    console = Console(quiet)
    advice = "--resume goes on from the last checkpoint, if there is one"
    with joined(console.error, advice) as ranks:
        if ranks is not None and ranks.rank > 0:
            from rnnlm.training.distributed.follower import follow

            follow(ranks)
        else:
            settings = load_config(config, overrides, run)
            if plan:
                _plan(console, settings, json)
            else:
                _train(console, settings, resume, restart, json, ranks)


def _plan(console: Console, settings: Config, json: bool) -> None:
    """What the training would take."""
    from rnnlm.console.views.measure import plan_view
    from rnnlm.measure.plan import plan

    found = console.watch(plan(settings))
    if json:
        console.json(found.json())
    else:
        console.show(plan_view(found))


def _train(console: Console, settings: Config, resume: bool, restart: bool, json: bool, ranks: Ranks | None) -> None:
    """The training itself; ranks: None: by this process alone."""
    from rnnlm import pipeline
    from rnnlm.interrupt import interrupts
    from rnnlm.work import Note

    # The task is closed here: where the console has failed the run is saved while its ranks are there.
    with (
        interrupts(lambda text: console.draw(Note(text))) as stop,
        closing(pipeline.run(settings, resume, stop, restart, ranks)) as task,
    ):
        result = console.watch(task, results=not json)
    if json:
        console.json(result)
    if result["reason"] == "interrupted":
        raise typer.Exit(130)
