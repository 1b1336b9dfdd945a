"""``rnnlm warmup``: all kernels compiled ahead."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import JsonOption, Precision, QuietOption


def command(
    precision: Annotated[
        Optional[list[Precision]],
        typer.Option(
            "--precision",
            metavar="PRECISION",
            help="Compile for this precision alone (float32, float64, bfloat16 or bfloat16x3); may be repeated. Left "
            "out: the first three.",
        ),
    ] = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Compile all kernels ahead, so that no later command waits for it."""
    from rnnlm.console import Console
    from rnnlm.console.views.measure import warmed_view
    from rnnlm.measure.warmup import warm_up

    console = Console(quiet)
    found = console.watch(warm_up(tuple(precision or (one for one in Precision if one is not Precision.bfloat16x3))))
    if json:
        console.json(found.json())
    else:
        console.show(warmed_view(found))
