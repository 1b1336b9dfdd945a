"""``rnnlm vocab``: the vocabulary of the training text as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ConfigArgument, QuietOption, SetOption, load_config


def command(
    config: ConfigArgument,
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="FILE", help="Where to; left out: vocab.txt in the run's folder."),
    ] = None,
    overrides: SetOption = None,
    quiet: QuietOption = False,
) -> None:
    """Count the training text and write the vocabulary (a token and its count a line)."""
    from rnnlm import pipeline
    from rnnlm.console import Console

    console = Console(quiet)
    settings = load_config(config, overrides)
    path = output or Path(settings.run) / "vocab.txt"
    vocabulary = console.watch(pipeline.write_vocabulary(settings, path))
    console.line(f"{path}: {len(vocabulary):,} tokens of {int(vocabulary.counts.sum()):,} in the training text")
