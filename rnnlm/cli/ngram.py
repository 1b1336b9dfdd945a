"""``rnnlm ngram``: an n-gram model of the same texts, the baseline beside a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import (
    ConfigArgument,
    ConfigEncodingOption,
    ForceOption,
    JsonOption,
    QuietOption,
    SetOption,
    config_files,
    load_config,
)


def command(
    config: ConfigArgument,
    order: Annotated[
        Optional[int],
        typer.Option("--order", metavar="N", help="Longest n-grams; left out: 5 (words) or 7 (characters, bytes)."),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", metavar="FILE", help="Write the model there (ARPA).")
    ] = None,
    force: ForceOption = False,
    encoding: ConfigEncodingOption = None,
    overrides: SetOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """N-gram model of the same texts (modified Kneser-Ney): the baseline that a network is to beat."""
    from rnnlm.console import Console
    from rnnlm.console.views.ngram import ngram_view
    from rnnlm.files import output as output_file
    from rnnlm.ngram.baseline import ngram

    console = Console(quiet)
    settings = load_config(config, overrides, encoding=encoding)
    if output is not None:
        output_file.check(output, "model of n-grams", config_files(config, settings), force)
    found = console.watch(ngram(settings, order, output))
    if json:
        console.json({name: evaluation.json() for name, evaluation in found.items()})
    else:
        console.show(ngram_view(found))
    if output is not None and not json:
        console.line(f"{output}: the model")
