"""``rnnlm syntaxgym``: accuracy on the test suites of SyntaxGym."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import (
    ForceOption,
    InitialState,
    InitialStateOption,
    JsonOption,
    ModelArgument,
    QuietOption,
    ThreadsOption,
    model_files,
)


def command(
    model: ModelArgument,
    suites: Annotated[
        list[Path], typer.Argument(metavar="SUITE.json...", help="Test suites in SyntaxGym's JSON, plain or gzip.")
    ],
    no_line_end: Annotated[
        bool, typer.Option("--no-line-end", help="Leave the line end out; else the last region of a sentence has it.")
    ] = False,
    output: Annotated[
        Optional[Path],
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write there whether each prediction is true of each item (TSV)."
        ),
    ] = None,
    regions: Annotated[
        Optional[Path],
        typer.Option("--regions", metavar="FILE", help="Write the surprisal of every region there (TSV)."),
    ] = None,
    force: ForceOption = False,
    initial_state: InitialStateOption = InitialState.model,
    threads: ThreadsOption = "auto",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Test suites of SyntaxGym: of how many items the predictions about surprisal are true."""
    from dataclasses import asdict

    from rnnlm.console import Console
    from rnnlm.console.views.suites import suites_view
    from rnnlm.errors import InputError
    from rnnlm.evaluation import suite_files
    from rnnlm.evaluation import suites as evaluation
    from rnnlm.files import model_file
    from rnnlm.files import output as output_file
    from rnnlm.files.atomic import write_text
    from rnnlm.language_model import LanguageModel

    console = Console(quiet)
    network = LanguageModel(model_file.load(model), threads, initial_state)
    if output is not None and regions is not None and output.resolve() == regions.resolve():
        raise InputError(f"{output}: named by --output and by --regions; give each its own file")
    for path in (output, regions):
        if path is not None:
            output_file.check(path, "table", [*suites, *model_files(model)], force)
    read = [suite_files.read(path) for path in suites]
    results = console.watch(network.scoring_suites(read, not no_line_end))
    if output is not None:
        write_text(output, "".join(evaluation.table(results.predictions)))
    if regions is not None:
        write_text(regions, "".join(evaluation.table(results.regions)))
    found = evaluation.accuracies(read, results)
    mean = evaluation.mean_accuracy(found)
    if json:
        console.json({"accuracies": [asdict(row) for row in found], "mean_accuracy": mean})
    else:
        console.show(suites_view(found, mean))
