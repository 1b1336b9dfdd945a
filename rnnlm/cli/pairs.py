"""``rnnlm pairs``: accuracy on minimal pairs."""

from __future__ import annotations

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
    encoding_of,
    model_files,
)


def command(
    model: ModelArgument,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="JSONL in BLiMP's names, TSV with a header (good, bad, phenomenon), or two texts: the good "
            "sentences and the bad ones.",
        ),
    ],
    by: Annotated[
        Optional[str],
        typer.Option(
            "--by",
            metavar="FIELD",
            help="What pairs are told apart by; left out: the first of linguistics_term, phenomenon and UID.",
        ),
    ] = None,
    encoding: EncodingOption = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", metavar="FILE", help="Write every pair's scores there (TSV).")
    ] = None,
    force: ForceOption = False,
    initial_state: InitialStateOption = InitialState.model,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Minimal pairs: how often the better sentence is the more probable one, by phenomenon."""
    from dataclasses import asdict

    from rnnlm.console import Console
    from rnnlm.console.views.pairs import pairs_view
    from rnnlm.evaluation import pair_files, pairs
    from rnnlm.files import model_file
    from rnnlm.files import output as output_file
    from rnnlm.files.atomic import write_text
    from rnnlm.language_model import LanguageModel

    console = Console(quiet)
    network = LanguageModel(model_file.load(model), initial_state=initial_state)
    if output is not None:
        output_file.check(output, "table", [*files, *model_files(model)], force)
    found = console.watch(network.pairing(pair_files.read(files, by, encoding_of(files[0], encoding))))
    if output is not None:
        write_text(output, "".join(pairs.table(found)))
    accuracies = pairs.accuracies(found)
    if json:
        console.json({"accuracies": [asdict(accuracy) for accuracy in accuracies]})
    else:
        console.show(pairs_view(accuracies))
