"""``rnnlm corpus``: lists of texts, texts made from a grammar, corpora downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import ForceOption, JsonOption, QuietOption
from rnnlm.cli.help import Command, Group, epilog

app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="The built-in grammar's text, and public corpora by address and hash.",
)


@app.command("list", cls=Command, epilog=epilog("corpus list"))
def list_command(json: JsonOption = False) -> None:
    """The grammars and corpora that rnnlm knows."""
    from rnnlm.console import Console
    from rnnlm.console.views.corpora import corpora_view, grammars_view
    from rnnlm.corpora import catalogue, listing

    console = Console()
    if json:
        console.json(listing.as_json())
    else:
        console.show(grammars_view(listing.grammars()))
        console.show(corpora_view(catalogue.describe()))


@app.command("make", cls=Command, epilog=epilog("corpus make"))
def make_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A built-in grammar (english), or a grammar file.")
    ] = "english",
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="DIR", help="Where to; left out: corpora/NAME."),
    ] = None,
    sentences: Annotated[
        Optional[list[int]],
        typer.Option(
            "--sentences", metavar="N", help="For train, valid and test: give it three times (20000 1000 1000)."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Another number, other sentences.")] = 0,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a grammar's text, and say its exact entropy and the lowest perplexity that any model can reach on it."""
    from rnnlm.console import Console
    from rnnlm.console.views.corpora import made_view
    from rnnlm.corpora import listing

    console = Console(quiet)
    made = console.watch(listing.make(name, output, sentences, seed, force))
    if json:
        console.json(made.json())
    else:
        console.show(made_view(made))


@app.command("get", cls=Command, epilog=epilog("corpus get"))
def get_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of `rnnlm corpus list`.")],
    output: Annotated[
        Optional[Path],
        typer.Option("-o", "--output", metavar="DIR", help="Where to; left out: corpora/NAME."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Download a public corpus, check its size and hash, unpack it."""
    from rnnlm.console import Console
    from rnnlm.corpora import catalogue

    console = Console(quiet)
    for path in console.watch(catalogue.get(name, output)):
        console.line(str(path))
