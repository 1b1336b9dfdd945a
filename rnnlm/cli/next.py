"""``rnnlm next``: the distribution over the next token."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnlm.cli.arguments import InitialState, InitialStateOption, JsonOption, ModelArgument


def command(
    model: ModelArgument,
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="What stands before it; left out: the beginning of a text.")
    ] = "",
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="How many tokens, from the most probable on.")
    ] = 20,
    initial_state: InitialStateOption = InitialState.model,
    json: JsonOption = False,
) -> None:
    """Most probable next tokens after a text."""
    from dataclasses import asdict

    from rnnlm.console import Console
    from rnnlm.console.views.next_token import next_view
    from rnnlm.files import model_file
    from rnnlm.language_model import LanguageModel
    from rnnlm.sampling import prompts

    console = Console()
    network = LanguageModel(model_file.load(model), initial_state=initial_state)
    prompt = prompts.encode(prefix, network.vocabulary, "PREFIX")
    if prompt.unknown is not None:
        console.note(prompt.unknown)
    found = network.next(prefix, top)
    if json:
        console.json({"prefix": prompt.text, "next": [asdict(token) for token in found]})
    else:
        console.show(next_view(found, network.vocabulary.unit))
