"""``rnnlm init``: a first configuration for a text."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import EncodingOption, ForceOption, QuietOption, encoding_of


def command(
    text: Annotated[Path, typer.Argument(metavar="TEXT", help="One's own text, plain or gzip.")],
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="FILE", help="Where to; left out: TEXT's name with .yaml, here."),
    ] = None,
    encoding: EncodingOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a configuration for a text: unit, size and time chosen from the text and this machine."""
    from rnnlm.console import Console
    from rnnlm.files import atomic
    from rnnlm.files import output as output_file
    from rnnlm.measure.starter import starter

    console = Console(quiet)
    path = output or Path(text.name.removesuffix(".gz")).with_suffix(".yaml")
    output_file.check(path, "configuration", [text], force)
    made = console.watch(starter(text, encoding_of(text, encoding)))
    atomic.write_text(path, made.yaml)
    for reason in made.reasons:
        console.line(reason)
    console.line(f"{path}: change what you like; rnnlm train {shlex.quote(str(path))} begins")
