"""``rnnlm inspect``: the contents of a model file."""

from __future__ import annotations

from rnnlm.cli.arguments import JsonOption, ModelArgument


def command(model: ModelArgument, json: JsonOption = False) -> None:
    """The contents of a model file."""
    from rnnlm.console import Console
    from rnnlm.console.views.inspection import inspection_view
    from rnnlm.files import inspection

    console = Console()
    found = inspection.inspect(model)
    if json:
        console.json(found)
    else:
        console.show(inspection_view(found, console.width))
