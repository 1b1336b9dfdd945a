"""``rnnlm init``: a first configuration for a text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import QuietOption


def command(
    text: Annotated[Path, typer.Argument(metavar="TEXT", help="One's own text, plain or gzip.")],
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="FILE", help="Where to; left out: TEXT's name with .yaml, here."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Write a configuration for a text: unit, size and time chosen from the text and this machine."""
    from rnnlm.console import Console
    from rnnlm.errors import InputError
    from rnnlm.measure.starter import starter

    console = Console(quiet)
    path = output or Path(text.name.removesuffix(".gz")).with_suffix(".yaml")
    if path.exists():
        raise InputError(f"{path}: is there already; -o FILE writes elsewhere")
    made = console.watch(starter(text))
    with open(path, "x", encoding="utf-8") as file:
        file.write(made.yaml)
    for reason in made.reasons:
        console.line(reason)
    console.line(f"{path}: change what you like; rnnlm train {path} begins")
