"""``rnnlm embed``: the initial embedding table as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ConfigArgument, QuietOption, SetOption, load_config


def command(
    config: ConfigArgument,
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="FILE", help="Where to; left out: vectors.txt in the run's folder."),
    ] = None,
    overrides: SetOption = None,
    quiet: QuietOption = False,
) -> None:
    """Make the table that the embedding layer starts from, in word2vec's text format."""
    from rnnlm import pipeline
    from rnnlm.console import Console

    console = Console(quiet)
    settings = load_config(config, overrides)
    path = output or Path(settings.run) / "vectors.txt"
    table = console.watch(pipeline.write_embedding(settings, path))
    console.line(f"{path}: {table.shape[0]:,} vectors of {table.shape[1]:,} numbers ({settings.embedding.init.type})")
