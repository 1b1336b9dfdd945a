"""``rnnlm rescore``: n-best lists of a recogniser, rescored."""

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
    JsonOption,
    ModelArgument,
    QuietOption,
    ThreadsOption,
    check_scores,
    choices,
    encoding_of,
    format_of,
    model_files,
    refuse_given,
)
from rnnlm.cli.ranks import ranks_of


class Format(StrEnum):
    """How rescored hypotheses are written."""

    tsv = "tsv"
    jsonl = "jsonl"
    kaldi = "kaldi"


def command(
    context: typer.Context,
    model: ModelArgument,
    nbest: Annotated[
        Path,
        typer.Argument(
            metavar="NBEST",
            help="N-best lists: TSV with a header, or JSONL (utterance, text, score), or with --costs Kaldi's text "
            "(UTTERANCE-N word word ...); -: a table on standard input. An utterance's first hypothesis is the "
            "recogniser's own best.",
        ),
    ],
    weight: Annotated[
        Optional[float],
        typer.Option(
            "--weight",
            metavar="W",
            help="Weight of log p (natural logarithm), 0 or above; with it nothing is tuned.",
        ),
    ] = None,
    penalty: Annotated[
        Optional[float],
        typer.Option(
            "--penalty",
            metavar="P",
            help="Word insertion bonus, added for each word: above 0 favours long hypotheses, below 0 short ones. "
            "Left out: 0 with --weight, else tuned.",
        ),
    ] = None,
    old_weight: Annotated[
        Optional[float],
        typer.Option(
            "--old-weight",
            metavar="W",
            help="Weight of the recogniser's language model's score (--old-score, --old-costs).",
        ),
    ] = None,
    references: Annotated[
        Optional[Path],
        typer.Option(
            "--references",
            metavar="FILE",
            help="What was said: Kaldi's text (UTTERANCE word word ...), or TSV or JSONL with the columns of NBEST. "
            "Word error rates are shown, and without --weight the weights with the fewest errors are found.",
        ),
    ] = None,
    costs: Annotated[
        Optional[Path],
        typer.Option(
            "--costs", metavar="FILE", help="Kaldi's acoustic costs (UTTERANCE-N cost); a cost is a negated score."
        ),
    ] = None,
    old_costs: Annotated[
        Optional[Path],
        typer.Option("--old-costs", metavar="FILE", help="Kaldi's costs of its language model or graph."),
    ] = None,
    utterance: Annotated[
        str, typer.Option("--utterance", metavar="NAME", help="Column of the utterance's name.")
    ] = "utterance",
    text: Annotated[str, typer.Option("--text", metavar="NAME", help="Column of the hypothesis.")] = "text",
    score: Annotated[
        str, typer.Option("--score", metavar="NAME", help="Column of the recogniser's score; higher is better.")
    ] = "score",
    old_score: Annotated[
        Optional[str],
        typer.Option(
            "--old-score",
            metavar="NAME",
            help="Column of the score of the recogniser's language model; higher is better.",
        ),
    ] = None,
    format: Annotated[
        Optional[Format],
        typer.Option(
            "--format",
            metavar=choices(Format),
            help="A table (tsv) or objects (jsonl) with all scores, or the best hypothesis of each utterance "
            "(kaldi). Left out: as the name of FILE ends (.tsv, .jsonl), else as NBEST.",
        ),
    ] = None,
    best: Annotated[bool, typer.Option("--best", help="Write the best hypothesis of each utterance alone.")] = False,
    encoding: EncodingOption = None,
    output: Annotated[
        Optional[Path],
        typer.Option("--output", "-o", metavar="FILE", help="Left out: standard output, with --json nowhere."),
    ] = None,
    force: ForceOption = False,
    initial_state: InitialStateOption = InitialState.model,
    threads: ThreadsOption = "auto",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Rescore n-best lists of a speech or OCR recogniser.

    The total of a hypothesis is score + W log p(words, line end) + P words; a higher one is better. Each hypothesis
    is scored by itself. mpiexec -n 4 rnnlm rescore ... shares them out among 4 processes.
    """
    from rnnlm.console import Console
    from rnnlm.console.views.rescoring import rescoring_view
    from rnnlm.evaluation.rescoring import formats, nbest_files
    from rnnlm.evaluation.rescoring.rescore import Given, rescore, starting_weights
    from rnnlm.files import model_file
    from rnnlm.files.atomic import write_text
    from rnnlm.language_model import LanguageModel

    ranks = ranks_of(context, console := Console(quiet))
    _check_options(context, (nbest, references, costs, old_costs), output, json)
    read_as = encoding_of(nbest, encoding)
    given = Given(weight, penalty, old_weight)
    starting_weights(given, old_score is not None or old_costs is not None, references is not None)
    network = LanguageModel(model_file.load(model), threads, initial_state, ranks)
    written = format_of(format, output) or formats.of_list(nbest, costs is not None)
    if output is not None:
        reads = [file for file in (nbest, references, costs, old_costs) if file is not None]
        check_scores(output, written, [*reads, *model_files(model)], force)
    names = nbest_files.Names(utterance, text, score, old_score)
    hypotheses = nbest_files.read(nbest, names, costs, old_costs, read_as)
    formats.check(written, hypotheses)
    spoken = None
    if references is not None:
        spoken = nbest_files.references(references, names, (one.utterance for one in hypotheses), read_as)
    found = console.watch(rescore(network.network, network.vocabulary, hypotheses, given, spoken, ranks))
    rows = formats.rows(written, best, found.hypotheses)
    if output is not None:
        write_text(output, "".join(rows))
    if json:
        console.json(found.summary.json())
    elif output is not None:
        console.show(rescoring_view(found.summary))
    else:
        console.text("".join(rows))
        console.remark(rescoring_view(found.summary))


def _check_options(
    context: typer.Context,
    inputs: tuple[Path, Path | None, Path | None, Path | None],
    output: Path | None,
    json: bool,
) -> None:
    """Refuse options that would do nothing, and files that cannot be two things.

    Args:
        inputs: NBEST, --references, --costs, --old-costs.

    Raises:
        InputError: the first of them.
    """
    from rnnlm.errors import InputError
    from rnnlm.evaluation.row_files import ending
    from rnnlm.text import files

    _, references, costs, _ = inputs
    if costs is not None:
        refuse_given(context, ("score", "old_score"), "names a column; of Kaldi's files give --costs and --old-costs")
        if references is None or ending(references) not in (".tsv", ".jsonl"):
            refuse_given(context, ("utterance", "text"), "names a column; Kaldi's files have none")
    if output is None:
        refuse_given(context, ["force"], "goes with --output")
        if json:
            refuse_given(context, ("format", "best"), "goes with --output, or without --json")
    elif str(output) == "-":
        raise InputError("--output: found -; leave it out for standard output, or name a file")
    if sum(path is not None and files.name(path) == "standard input" for path in inputs) > 1:
        raise InputError("-: standard input can be one file alone; give NBEST and --references as two files")
