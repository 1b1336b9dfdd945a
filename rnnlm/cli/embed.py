"""``rnnlm embed``: the initial embedding table as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ConfigArgument, ForceOption, QuietOption, SetOption, config_files, load_config


def command(
    config: ConfigArgument,
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="FILE", help="Where to; left out: vectors.txt in the current folder."),
    ] = None,
    force: ForceOption = False,
    overrides: SetOption = None,
    quiet: QuietOption = False,
) -> None:
    """Make the table that the embedding layer starts from, in word2vec's text format."""
    from rnnlm import pipeline
    from rnnlm.console import Console
    from rnnlm.files import output as output_file

    console = Console(quiet)
    settings = load_config(config, overrides)
    path = output or Path("vectors.txt")
    output_file.check(path, "file of word vectors", config_files(config, settings), force)
    table = console.watch(pipeline.write_embedding(settings, path))
    console.line(f"{path}: {table.shape[0]:,} vectors of {table.shape[1]:,} numbers ({settings.embedding.init.type})")
