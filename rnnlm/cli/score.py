"""``rnnlm score``: the log-probability of each line of a text, of each word, or of each region."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import (
    EncodingOption,
    ForceOption,
    InitialState,
    InitialStateOption,
    ModelArgument,
    ThreadsOption,
    check_scores,
    choices,
    encoding_of,
    format_of,
    model_files,
)
from rnnlm.cli.ranks import ranks_of


class Rows(StrEnum):
    """What a row is of."""

    line = "line"
    word = "word"
    region = "region"


class Format(StrEnum):
    """How scores are written."""

    tsv = "tsv"
    jsonl = "jsonl"
    kaldi = "kaldi"
    surprisal = "surprisal"


def command(
    context: typer.Context,
    model: ModelArgument,
    text: Annotated[
        Path, typer.Argument(metavar="TEXT", help="A text, plain or gzip; left out or -: standard input.")
    ] = Path("-"),
    by: Annotated[
        Optional[Rows],
        typer.Option(
            "--by",
            metavar=choices(Rows),
            help="A row for each line, or for each word: what stands between white space, whatever the tokens "
            "are; of characters and bytes the white space behind a word belongs to it. "
            "With --input-columns: for each region, or word.",
        ),
    ] = None,
    input_columns: Annotated[
        Optional[str],
        typer.Option(
            "--input-columns",
            metavar="ITEM,REGION,WORD",
            help="TEXT is a table with a header (TSV, or NAME.csv), a row a word or several; these are its columns "
            "of the item (a sentence; ITEM+CONDITION where two columns tell it), the region and the word.",
        ),
    ] = None,
    ids: Annotated[
        bool, typer.Option("--ids", help="Each line begins with an id, which is kept and not scored.")
    ] = False,
    no_line_end: Annotated[bool, typer.Option("--no-line-end", help="Leave the end of each line out.")] = False,
    format: Annotated[
        Optional[Format],
        typer.Option(
            "--format",
            metavar=choices(Format),
            help="A table for pandas and R (tsv), an object a row (jsonl), an id and a log10 a line (kaldi), or the "
            "columns word sentid sentpos wlen surp entropy entred (surprisal). Left out: jsonl for a FILE.jsonl, "
            "else tsv.",
        ),
    ] = None,
    columns: Annotated[
        Optional[str],
        typer.Option(
            "--columns",
            metavar="A,B,...|all",
            help="Of tsv and jsonl; left out: all but entropies and alternatives, which take long.",
        ),
    ] = None,
    encoding: EncodingOption = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", metavar="FILE", help="Left out: standard output.")
    ] = None,
    force: ForceOption = False,
    initial_state: InitialStateOption = InitialState.model,
    threads: ThreadsOption = "auto",
) -> None:
    """Log-probability of every line of a text, each by itself, or of every word or region.

    Lines are answered as they come: the answers to those that are there are written before more are read.
    mpiexec -n 4 rnnlm score MODEL TEXT shares them out among 4 processes.
    """
    from rnnlm.console import Console
    from rnnlm.errors import InputError
    from rnnlm.evaluation import item_files, item_formats, score_formats
    from rnnlm.files import model_file
    from rnnlm.files.atomic import atomic_write
    from rnnlm.language_model import LanguageModel

    ranks = ranks_of(context, console := Console())
    read_as = encoding_of(text, encoding)
    network = LanguageModel(model_file.load(model), threads, initial_state, ranks)
    words, written = network.vocabulary, format_of(format, output) or "tsv"
    if input_columns is not None:
        table = item_files.ItemTable(text, item_files.parse(input_columns), network.vocabulary, read_as)
        rows = network.scoring_items(
            item_formats.chosen(written, by, ids, columns, words, table), line_end=not no_line_end
        )
    elif by is Rows.region:
        raise InputError("--by region is of a table of items; give --input-columns ITEM,REGION,WORD too")
    else:
        wanted = score_formats.chosen(written, by is Rows.word, ids, columns, words)
        rows = network.scoring(text, wanted, ids, not no_line_end, read_as)
    if output is not None:
        check_scores(output, written, [text, *model_files(model)], force)
    if output is None:
        for some in rows:
            console.text(some)
    else:
        with atomic_write(output) as file:
            for some in rows:
                file.write(some.encode("utf-8", "surrogateescape"))
