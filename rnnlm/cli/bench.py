"""``rnnlm bench``: the speed of this machine, and of a configuration's network on it."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnlm.cli.arguments import ConfigArgument, JsonOption, QuietOption, SetOption, load_config


def command(
    config: ConfigArgument = "quickstart",
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=0.01, help="How long to measure each figure.")
    ] = 3.0,
    overrides: SetOption = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Measure this machine, and a configuration's speed on it, layer by layer."""
    from rnnlm.console import Console
    from rnnlm.console.views.measure import bench_view
    from rnnlm.measure.bench import bench

    console = Console(quiet)
    found = console.watch(bench(load_config(config, overrides), seconds))
    if json:
        console.json(found.json())
    else:
        console.show(bench_view(found))
