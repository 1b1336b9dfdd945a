"""``rnnlm vocab``: the vocabulary of the training text as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import (
    ConfigArgument,
    ConfigEncodingOption,
    ForceOption,
    QuietOption,
    SetOption,
    config_files,
    load_config,
)


def command(
    config: ConfigArgument,
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="FILE", help="Where to; left out: vocab.txt in the current folder."),
    ] = None,
    force: ForceOption = False,
    encoding: ConfigEncodingOption = None,
    overrides: SetOption = None,
    subwords: Annotated[
        Optional[str],
        typer.Option(
            "--subwords",
            metavar="MODEL",
            help="Cut the text into subwords: unigram or bpe, trained on it, or a model's file.",
        ),
    ] = None,
    size: Annotated[
        Optional[int],
        typer.Option("--size", metavar="N", help="Of the subwords that are trained, the line end with them."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Count the training text and write the vocabulary (a token and its count a line).

    With data.unit: subword it trains the model that cuts the text, and writes it beside the vocabulary (.model)."""
    from rnnlm import pipeline
    from rnnlm.console import Console
    from rnnlm.files import output as output_file

    console = Console(quiet)
    given = [] if subwords is None else ["data.unit=subword", f"data.subwords={subwords}"]
    given += [] if size is None else [f"data.subwords.size={size}"]
    settings = load_config(config, [*(overrides or ()), *given], encoding=encoding)
    path = output or Path("vocab.txt")
    inputs = config_files(config, settings)
    output_file.check(path, "vocabulary", inputs, force)
    if (model := pipeline.subword_file(settings, path)) is not None:
        output_file.check(model, "model of subwords", inputs, force)
    vocabulary = console.watch(pipeline.write_vocabulary(settings, path))
    console.line(f"{path}: {len(vocabulary):,} tokens of {int(vocabulary.counts.sum()):,} in the training text")
