"""Arguments, options and choices that several commands take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from glob import escape, glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from rnnlm.cli.first_tries import config_argument, model_argument

if TYPE_CHECKING:
    from rnnlm.config.schema import Config


def complete_config(incomplete: str) -> list[str]:
    """What a shell offers for a CONFIG: recipes and YAML files. Where it gets none, it offers all files itself."""
    from rnnlm.config import recipes

    names = [*recipes.names("configs", ".yaml"), *sorted(glob(f"{escape(incomplete)}*.yaml"))]
    return [name for name in names if name.startswith(incomplete)]


ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        callback=config_argument,
        autocompletion=complete_config,
        help="A YAML file, or a recipe: quickstart, ptb-elman, ptb-lstm, shakespeare-elman, shakespeare-lstm, "
        "wikitext2-lstm.",
    ),
]
ModelArgument = Annotated[
    Path,
    typer.Argument(metavar="MODEL", callback=model_argument, help="A run's folder, or its model.safetensors."),
]
SetOption = Annotated[
    Optional[list[str]],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key, as in train.learning_rate=0.5; may be repeated."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and results.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def encoding_option(name: Optional[str]) -> Optional[str]:
    """The callback of `EncodingOption`: Python's own name of the encoding."""
    from rnnlm.config import encodings

    return None if name is None else encodings.option(name)


EncodingOption = Annotated[
    Optional[str],
    typer.Option(
        "--encoding",
        metavar="NAME",
        callback=encoding_option,
        help="Of the text, by Python's name: latin-1, cp1252, utf-16, gb18030, shift_jis ...; left out: utf-8.",
    ),
]
ConfigEncodingOption = Annotated[
    Optional[str],
    typer.Option(
        "--encoding", metavar="NAME", callback=encoding_option, help="As --set data.encoding=NAME, of the texts."
    ),
]


# The formats of scores, by what is written.
_WRITTEN = {"jsonl": "file of JSON lines", "kaldi": "Kaldi text file"}


def format_of(given: str | None, output: Path | None) -> str | None:
    """The format of an output of scores: the one that is given, or that of the ending of its name; None: neither."""
    by_name = {".tsv": "tsv", ".jsonl": "jsonl"}
    return given or (None if output is None else by_name.get(output.suffix.lower()))


def check_scores(output: Path, format: str, reads: Sequence[Path], force: bool) -> None:
    """``files.output.check`` of scores that are written in this format."""
    from rnnlm.files import output as output_file

    output_file.check(output, _WRITTEN.get(format, "table of scores"), reads, force)


def encoding_of(text: Path | None, encoding: str | None, own: str = "utf-8", what: str = "a TEXT") -> str:
    """The encoding of a text that an option or argument names, or where there is none that of the run's own.

    Raises:
        InputError: `encoding` is given, and no text.
    """
    from rnnlm.errors import InputError

    if text is None and encoding is not None:
        raise InputError(f"--encoding goes with {what}; a run's own texts are read as its data.encoding says")
    return own if text is None else encoding or "utf-8"


class Unit(StrEnum):
    """What a token is."""

    word = "word"
    char = "char"
    byte = "byte"


STATE_HELP = (
    "The hidden state at line ends: carry goes on with it, as in running text; reset begins each line anew, as in a "
    "list of sentences; document begins anew after a blank line."
)


class State(StrEnum):
    """The hidden state at line ends."""

    carry = "carry"
    reset = "reset"
    document = "document"


class InitialState(StrEnum):
    """What a text begins with."""

    model = "model"
    zero = "zero"


class Activation(StrEnum):
    """f of an Elman network."""

    tanh = "tanh"
    sigmoid = "sigmoid"
    relu = "relu"


class Precision(StrEnum):
    """What the kernels compute in."""

    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"
    bfloat16x3 = "bfloat16x3"


def choices(values: Iterable[StrEnum]) -> str:
    """The metavar of an option that takes one of `values`: "carry|reset"."""
    return "|".join(values)


InitialStateOption = Annotated[
    InitialState,
    typer.Option(
        "--initial-state",
        metavar=choices(InitialState),
        help="The hidden state that a text begins with: that of the model's file (of a network trained with state: "
        "carry, the mean at the line ends of the validation text), or zero.",
    ),
]


def number_or(word: str) -> Callable[[Optional[str]], Optional[str]]:
    """The callback of an option that takes a number of at least 1, or `word`."""

    def check(value: Optional[str]) -> Optional[str]:
        if value is None or value == word or (value.isdecimal() and int(value) >= 1):
            return value
        raise typer.BadParameter(f"{value!r} is neither {word} nor a number of at least 1")

    return check


ThreadsOption = Annotated[
    str, typer.Option("--threads", metavar="N|auto", callback=number_or("auto"), help="Threads.")
]


def model_files(model: Path) -> list[Path]:
    """The files that a MODEL is read from, and those that belong to it."""
    return [path for path in model.rglob("*") if path.is_file()] if model.is_dir() else [model]


def config_files(path: str, config: Config) -> list[Path]:
    """The files that a command of this CONFIG reads."""
    from rnnlm.config import paths, recipes
    from rnnlm.text.joined import matching

    named = [file for name in paths.inputs(config) for file in matching(str(name))]
    return [recipes.find("configs", path, ".yaml"), *named]


def refuse_given(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Refuse the options of these parameters where they were typed, since they would do nothing.

    Raises:
        InputError: the first of them, and why.
    """
    from rnnlm.errors import InputError

    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise InputError(f"{parameter.opts[0]} {why}")


def load_config(
    path: str, overrides: list[str] | None, run: Path | None = None, encoding: str | None = None
) -> Config:
    """The configuration with its overrides; `run` is a shorter way to say ``--set run=DIR``, `encoding` for
    ``--set data.encoding=NAME``."""
    from rnnlm.config import file as config_file

    given = [] if encoding is None else [f"data.encoding={encoding}"]
    config = config_file.load(path, [*(overrides or ()), *given])
    return config if run is None else config.model_copy(update={"run": str(run.expanduser())})
