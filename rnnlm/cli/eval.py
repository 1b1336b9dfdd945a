"""``rnnlm eval``: the perplexity of a text, and the surprisal of each token."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import (
    STATE_HELP,
    EncodingOption,
    ForceOption,
    InitialState,
    InitialStateOption,
    JsonOption,
    ModelArgument,
    QuietOption,
    State,
    ThreadsOption,
    choices,
    encoding_of,
    model_files,
)
from rnnlm.cli.ranks import ranks_of


def command(
    context: typer.Context,
    model: ModelArgument,
    text: Annotated[
        Optional[Path],
        typer.Argument(
            metavar="TEXT", help="A text, plain or gzip (- is standard input); left out: the run's own test text."
        ),
    ] = None,
    state: Annotated[
        Optional[State],
        typer.Option("--state", metavar=choices(State), help=f"{STATE_HELP} Left out: as in training."),
    ] = None,
    encoding: EncodingOption = None,
    initial_state: InitialStateOption = InitialState.model,
    per_token: Annotated[
        Optional[Path],
        typer.Option("--per-token", metavar="FILE", help="Write every token's surprisal there (TSV)."),
    ] = None,
    columns: Annotated[
        Optional[str],
        typer.Option(
            "--columns",
            metavar="A,B,...|all",
            help="Columns of that table; left out: all but rank, entropy_bits, alternative and alternative_bits, "
            "which take longest, and line_position.",
        ),
    ] = None,
    others: Annotated[
        Optional[list[Path]],
        typer.Option(
            "--with",
            metavar="FILE",
            help="Mix the model with another one of the same tokens: an ARPA file, or a run; may be repeated.",
        ),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Mix the model with its neural cache: words just read come again.")
    ] = False,
    cache_window: Annotated[
        Optional[int], typer.Option("--cache-window", metavar="N", help="Tokens that the cache remembers: 500.")
    ] = None,
    cache_theta: Annotated[
        Optional[float],
        typer.Option("--cache-theta", metavar="X", help="How much the likeness of states counts: 0.3."),
    ] = None,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Mix the model with itself as it goes on learning from the text.")
    ] = False,
    dynamic_window: Annotated[
        Optional[int],
        typer.Option("--dynamic-window", metavar="N", help="Tokens that are scored before each step: 20."),
    ] = None,
    dynamic_rate: Annotated[
        Optional[float], typer.Option("--dynamic-rate", metavar="X", help="Of that learning: 0.001.")
    ] = None,
    dynamic_decay: Annotated[
        Optional[float],
        typer.Option("--dynamic-decay", metavar="X", help="Back to the trained weights, at each step: 0.005."),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Find the window and theta of the cache, the rate and decay of --dynamic, on the validation text.",
        ),
    ] = False,
    tuned: Annotated[
        Optional[Path],
        typer.Option("--tuned", metavar="FILE", help="Take from it what is mixed, the numbers and the weights."),
    ] = None,
    save_tuned: Annotated[
        Optional[Path],
        typer.Option("--save-tuned", metavar="FILE", help="Write them there."),
    ] = None,
    weights: Annotated[
        Optional[str],
        typer.Option(
            "--weights",
            metavar="A,B,...",
            help="Of the model, the others, the cache, --dynamic; left out: those that make the validation text most "
            "probable.",
        ),
    ] = None,
    force: ForceOption = False,
    threads: ThreadsOption = "auto",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Perplexity of a text, with the counts that belong to it.

    mpiexec -n 4 rnnlm eval MODEL TEXT --state reset shares its lines out among 4 processes.
    """
    from dataclasses import asdict

    from rnnlm.config import file as config_file
    from rnnlm.config.tuned import Tuned, chosen
    from rnnlm.console import Console
    from rnnlm.console.views.evaluation import evaluation_view
    from rnnlm.console.views.mixture import mixture_view
    from rnnlm.errors import InputError
    from rnnlm.evaluation.columns import DEFAULT, parse
    from rnnlm.files import model_file
    from rnnlm.files import output as output_file
    from rnnlm.files.atomic import write_text
    from rnnlm.language_model import LanguageModel
    from rnnlm.pipeline import evaluate, mix
    from rnnlm.text import files
    from rnnlm.text.joined import files_of

    ranks = ranks_of(context, console := Console(quiet))
    if columns is not None and per_token is None:
        raise InputError("--columns is for the table of --per-token; give --per-token FILE too")
    names = DEFAULT if columns is None else parse(columns)
    wanted = chosen(
        Tuned() if tuned is None else config_file.load_section(tuned, Tuned),
        others or (),
        cache, {"window": cache_window, "theta": cache_theta},
        dynamic, {"window": dynamic_window, "rate": dynamic_rate, "decay": dynamic_decay},
        weights,
    )  # fmt: skip
    if tune and weights is None:  # those of the file belong to other numbers
        wanted = wanted.model_copy(update={"weights": None})
    mixed = bool(wanted.others or wanted.cache or wanted.dynamic)
    if not mixed and (wanted.weights is not None or save_tuned is not None):
        option = "--save-tuned is" if wanted.weights is None else "--weights are those"
        raise InputError(f"{option} of a mixture; give --with FILE, --cache or --dynamic too")
    if tune and not (wanted.cache or wanted.dynamic):
        raise InputError("--tune is for the cache and for dynamic evaluation; give --cache or --dynamic too")
    if mixed and per_token is not None:
        raise InputError("--per-token is of the model alone; leave what it is mixed with out")
    network = LanguageModel(model_file.load(model), threads, initial_state, ranks)
    source = network.own_text() if text is None else text
    read_as = encoding_of(text, encoding, network.config.data.encoding_read)
    if per_token is not None:
        output_file.check(per_token, "table", [*files_of(source), *model_files(model)], force)
    if save_tuned is not None:
        read = [path for other in (model, *map(Path, wanted.others)) for path in model_files(other)]
        output_file.check(save_tuned, "file of settings", [*files_of(source), *filter(None, [tuned]), *read], force)
    if mixed:
        mixture, made_with = console.watch(
            mix(network, str(model), source, state, initial_state, wanted, tune, read_as)
        )
        if save_tuned is not None:
            write_text(save_tuned, config_file.dump(made_with))
        if json:
            console.json({"text": files.name(source), **asdict(mixture), "tuned": made_with.model_dump()})
        else:
            console.show(mixture_view(mixture, files.name(source)))
        return
    found = console.watch(evaluate(network, text, state, per_token, names, read_as))
    if json:
        console.json({"text": files.name(source), **found.json()})
    else:
        console.show(evaluation_view(found, files.name(source)))
