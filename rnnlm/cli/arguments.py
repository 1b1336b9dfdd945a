"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from rnnlm.config.schema import Config

ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of one of our recipes.")
]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A run's folder, or its model.safetensors.")]
SetOption = Annotated[
    Optional[list[str]],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key, as in train.learning_rate=0.5; may be repeated."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and results.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def load_config(path: str, overrides: list[str] | None, run: Path | None = None) -> Config:
    """The configuration with its overrides; `run` is a shorter way to say ``--set run=DIR``."""
    from rnnlm.config import file as config_file

    config = config_file.load(path, overrides or ())
    return config if run is None else config.model_copy(update={"run": str(run)})
