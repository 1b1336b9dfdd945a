"""``rnnlm score``: the log-probability of each line of a text, or of each word."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import (
    ForceOption,
    InitialState,
    InitialStateOption,
    ModelArgument,
    ThreadsOption,
    choices,
    model_files,
)


class Rows(StrEnum):
    """What a row is of."""

    line = "line"
    word = "word"


class Format(StrEnum):
    """How scores are written."""

    tsv = "tsv"
    jsonl = "jsonl"
    kaldi = "kaldi"
    surprisal = "surprisal"


def command(
    model: ModelArgument,
    text: Annotated[
        Path, typer.Argument(metavar="TEXT", help="A text, plain or gzip; left out or -: standard input.")
    ] = Path("-"),
    by: Annotated[
        Rows,
        typer.Option(
            "--by",
            metavar=choices(Rows),
            help="A row for each line, or for each word; of characters and bytes, too, words stand between white "
            "space, and the white space behind one belongs to it.",
        ),
    ] = Rows.line,
    ids: Annotated[
        bool, typer.Option("--ids", help="Each line begins with an id, which is kept and not scored.")
    ] = False,
    no_line_end: Annotated[bool, typer.Option("--no-line-end", help="Leave the end of each line out.")] = False,
    format: Annotated[
        Format,
        typer.Option(
            "--format",
            metavar=choices(Format),
            help="A table for pandas and R (tsv), an object a row (jsonl), an id and a log10 a line (kaldi), or the "
            "columns word sentid sentpos wlen surp entropy entred (surprisal).",
        ),
    ] = Format.tsv,
    columns: Annotated[
        Optional[str],
        typer.Option(
            "--columns",
            metavar="A,B,...|all",
            help="Of tsv and jsonl; left out: all but entropies, which take long.",
        ),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", metavar="FILE", help="Left out: standard output.")
    ] = None,
    force: ForceOption = False,
    initial_state: InitialStateOption = InitialState.model,
    threads: ThreadsOption = "auto",
) -> None:
    """Log-probability of every line of a text, each by itself, or of every word.

    Lines are answered as they come: the answers to those that are there are written before more are read.
    """
    from rnnlm.console import Console
    from rnnlm.evaluation import score_formats
    from rnnlm.files import model_file
    from rnnlm.files import output as output_file
    from rnnlm.files.atomic import atomic_write
    from rnnlm.language_model import LanguageModel

    network = LanguageModel(model_file.load(model), threads, initial_state)
    wanted = score_formats.chosen(format, by is Rows.word, ids, columns, network.vocabulary.unit)
    if output is not None:
        output_file.check(output, "table of scores", [text, *model_files(model)], force)
    rows = network.scoring(text, wanted, ids, not no_line_end)
    if output is None:
        console = Console()
        for some in rows:
            console.text(some)
    else:
        with atomic_write(output) as file:
            for some in rows:
                file.write(some.encode("utf-8", "surrogateescape"))
