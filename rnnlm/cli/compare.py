"""``rnnlm compare``: two models on one text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import STATE_HELP, EncodingOption, JsonOption, QuietOption, State, choices, encoding_of
from rnnlm.cli.first_tries import model_argument


def command(
    a: Annotated[
        Path, typer.Argument(metavar="A", callback=model_argument, help="A model: a run's folder or its file.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B", callback=model_argument, help="Another one.")],
    text: Annotated[
        Optional[Path], typer.Argument(metavar="TEXT", help="A text, plain or gzip; left out: A's own test text.")
    ] = None,
    encoding: EncodingOption = None,
    state: Annotated[
        Optional[State],
        typer.Option("--state", metavar=choices(State), help=f"{STATE_HELP} Left out: as A was trained."),
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", min=100, help="How often the bootstrap draws the text anew.")
    ] = 10_000,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of the bootstrap.")] = 0,
    words: Annotated[
        int, typer.Option("--words", metavar="N", min=0, help="Words to show where each of them is better by most.")
    ] = 10,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare two models on a text: the difference in bits, and how much of it is chance."""
    from rnnlm.console import Console
    from rnnlm.console.views.comparison import comparison_view
    from rnnlm.evaluation.compare import Model, compare
    from rnnlm.files import model_file
    from rnnlm.language_model import LanguageModel
    from rnnlm.text import files

    console = Console(quiet)
    one, other = (LanguageModel(model_file.load(path)) for path in (a, b))
    source = one.own_text() if text is None else text
    read_as = encoding_of(text, encoding, one.config.data.encoding_read)
    sides = [Model(model.network, model.vocabulary) for model in (one, other)]
    found = console.watch(compare(sides[0], sides[1], source, state or one.config.state, draws, seed, words, read_as))
    if json:
        console.json({"a": str(a), "b": str(b), "text": files.name(source), **found.json()})
    else:
        console.show(comparison_view(found, str(a), str(b), files.name(source)))
