from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnlm.cli.arguments import ModelArgument, QuietOption


def command(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to: a safetensors file.")],
    quiet: QuietOption = False,
) -> None:
    """Write a model's weights as PyTorch's nn.Embedding, nn.RNN, nn.GRU or nn.LSTM, and nn.Linear have them."""
    from rnnlm import checkpoint, interchange
    from rnnlm.console import Console

    tensors = interchange.export(checkpoint.load(model), output)
    Console(quiet).line(f"{output}: {', '.join(tensors)}")
