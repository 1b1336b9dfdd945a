"""``rnnlm inspect``: the contents of a model file, or the words near some words."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import JsonOption, ModelArgument


def command(
    model: ModelArgument,
    nearest: Annotated[
        Optional[list[str]],
        typer.Option(
            "--nearest",
            metavar="WORD",
            help="Instead: the ten tokens whose trained vectors are nearest to WORD's, by cosine; may be repeated.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """The contents of a model file."""
    from dataclasses import asdict

    from rnnlm.console import Console
    from rnnlm.console.views.inspection import inspection_view, nearest_view
    from rnnlm.evaluation.nearest import nearest as nearest_tokens
    from rnnlm.files import inspection, model_file
    from rnnlm.network.parameters import TABLE

    console = Console()
    if nearest:
        trained = model_file.load(model)
        neighbours = nearest_tokens(trained.parameters[TABLE], trained.vocabulary, nearest)
        if json:
            console.json({"nearest": [asdict(one) for one in neighbours]})
        else:
            console.show(nearest_view(neighbours, console.width))
        return
    found = inspection.inspect(model)
    if json:
        console.json(found)
    else:
        console.show(inspection_view(found, console.width))
