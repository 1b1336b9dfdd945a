from __future__ import annotations

from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import JsonOption, QuietOption
from rnnlm.errors import InputError


def command(
    precision: Annotated[
        Optional[list[str]],
        typer.Option(
            "--precision",
            metavar="float32|float64|bfloat16",
            help="Compile for this precision alone; may be repeated. Left out: all that this processor has.",
        ),
    ] = None,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Compile all kernels ahead, so that no later command waits for it."""
    from rnnlm.console import Console
    from rnnlm.measure.warmup import PRECISIONS, warm_up

    for name in precision or ():
        if name not in PRECISIONS:
            raise InputError(f"--precision: found {name}; must be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}")
    console = Console(quiet)
    found = console.watch(warm_up(tuple(precision or PRECISIONS)))
    if json:
        console.json(found.json())
    else:
        console.warmed(found)
