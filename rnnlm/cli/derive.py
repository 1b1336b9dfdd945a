"""``rnnlm derive``: the derivation of the gradients with numbers, each of them checked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from rnnlm.cli.arguments import (
    Activation,
    EncodingOption,
    ForceOption,
    JsonOption,
    QuietOption,
    choices,
    encoding_of,
    refuse_given,
)
from rnnlm.cli.first_tries import is_yaml, model_or_numbers_argument

if TYPE_CHECKING:
    from rnnlm.console import Console
    from rnnlm.gradients.derivation.records import FormulaCheck, Heading, Quantity, Remark

_SMALL = ("embedding", "hidden", "vocabulary")


class Gated(StrEnum):
    """Cells with gates whose derivation there is."""

    lstm = "lstm"
    gru = "gru"


def command(
    context: typer.Context,
    model: Annotated[
        Optional[Path],
        typer.Argument(
            metavar="MODEL",
            callback=model_or_numbers_argument,
            help="A run's folder, its model.safetensors, or a YAML file of own numbers; left out: a small network.",
        ),
    ] = None,
    text: Annotated[
        Optional[Path],
        typer.Argument(metavar="TEXT", help="A text for MODEL (- is standard input); left out: the training text."),
    ] = None,
    scalar: Annotated[
        bool, typer.Option("--scalar", help="The network of one unit over two steps, with the loss at the last one.")
    ] = False,
    activation: Annotated[
        Optional[Activation],
        typer.Option("--activation", metavar=choices(Activation), help="The small network's f; left out: tanh."),
    ] = None,
    cell: Annotated[
        Optional[Gated],
        typer.Option("--cell", metavar=choices(Gated), help="The small network's cell; left out: elman."),
    ] = None,
    embedding: Annotated[int, typer.Option("--embedding", metavar="D", min=1, help="The small network's d.")] = 2,
    hidden: Annotated[int, typer.Option("--hidden", metavar="D", min=1, help="The small network's D_h.")] = 3,
    vocabulary: Annotated[int, typer.Option("--vocabulary", metavar="V", min=2, help="The small network's |V|.")] = 4,
    seed: Annotated[int, typer.Option("--seed", metavar="S", min=0, help="Of the small network's numbers.")] = 1,
    at: Annotated[
        Optional[int],
        typer.Option("--at", metavar="N", min=0, help="Tokens of TEXT before the one that the step predicts."),
    ] = None,
    encoding: EncodingOption = None,
    check: Annotated[
        Optional[list[str]],
        typer.Option(
            "--check",
            metavar="FORMULA",
            help='Instead: check a formula of yours, such as "dJ/dH = h(0)\' delta1(1)"; may be repeated.',
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show, and check, every number of every matrix.")] = False,
    html: Annotated[
        Optional[Path],
        typer.Option("--html", metavar="FILE", help="Of one unit: write a page there whose numbers can be moved."),
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The derivation of the gradients with numbers, each checked as it is printed."""
    from rnnlm.console import Console
    from rnnlm.errors import InputError
    from rnnlm.files import output as output_file
    from rnnlm.gradients import commands
    from rnnlm.gradients.derivation.page import write_html

    if model is not None:
        small = ("scalar", "activation", "cell", "seed", *_SMALL)
        refuse_given(context, small, f"is for a small network; {model} has its own numbers")
    else:
        refuse_given(context, ["at"], "goes with a MODEL and its text; a small network has one step")
        refuse_given(context, ["encoding"], "goes with a MODEL and its text; a small network has none")
    if scalar:
        refuse_given(context, ("cell", *_SMALL), "does not go with --scalar, which has one unit and two words")
    if cell is not None:
        refuse_given(context, ["activation", "check"], f"does not go with --cell {cell}")
    console = Console(quiet)
    edge = 0 if full else 3
    f = str(activation or Activation.tanh)
    numbers = model is not None and is_yaml(model)
    if html is not None:
        if not (scalar or numbers):
            raise InputError("derive: --html draws the network of one unit; add --scalar, or give its numbers")
        output_file.check(html, "page", [model] if model is not None else [], force)
        one_unit = commands.one_unit(f, seed, model)
    if numbers:
        refuse_given(
            context, ["at", "encoding", "full"], f"goes with a model; {model} has numbers, all of them shown"
        )
    if check is not None:
        refuse_given(context, ["full", "html"], "does not go with --check")
        if model is not None and not numbers:
            refuse_given(context, ["check"], f"goes with a YAML file of numbers or a small network, not with {model}")
    if numbers and model is not None:
        walk = commands.derive_numbers(model)
        checks = commands.check_numbers(check or (), model)
    elif model is not None:
        walk = console.watch(commands.derive_model(model, text, at, edge, encoding_of(text, encoding)))
        checks = iter(())
    elif scalar:
        walk = commands.derive_scalar(f, seed)
        checks = commands.check_scalar(check or (), f, seed)
    elif cell is not None:
        walk = commands.derive_gated(str(cell), embedding, hidden, vocabulary, seed, edge)
        checks = iter(())
    else:
        walk = commands.derive_small(f, embedding, hidden, vocabulary, seed, edge)
        checks = commands.check_small(check or (), f, embedding, hidden, vocabulary, seed)
    passed = _show(console, walk, json) if check is None else _show_checks(console, walk, list(checks), json)
    if html is not None:
        write_html(one_unit, html)
    if not passed:
        raise typer.Exit(1)


def _show(console: Console, walk: Iterator[Heading | Remark | Quantity], json: bool) -> bool:
    """Print a derivation as it is made; whether all of it is right."""
    from rnnlm.console.views.derivation import derivation_view, verdict_view
    from rnnlm.gradients.derivation.records import Verdict

    records = []
    for record in walk:
        records.append(record)
        if not json:
            console.show(derivation_view(record, console.width))
    found = Verdict.of(records)
    if json:
        console.json({**asdict(found), "derivation": [record.json() for record in records]})
    else:
        console.show(verdict_view(found))
    return found.passed


def _show_checks(
    console: Console, walk: Iterator[Heading | Remark | Quantity], checks: list[FormulaCheck], json: bool
) -> bool:
    """Print what goes in, the first part of a derivation, and the checks; whether all formulas are right."""
    from rnnlm.console.views.derivation import derivation_view, formula_view, formulas_view
    from rnnlm.gradients.derivation.records import Quantity

    given = list(itertools.takewhile(lambda record: not (isinstance(record, Quantity) and record.against), walk))
    passed = all(one.passed for one in checks)
    if json:
        numbers = [record.json() for record in given if isinstance(record, Quantity)]
        console.json({"passed": passed, "given": numbers, "checks": [one.json() for one in checks]})
        return passed
    for record in given[:-1]:  # but the next heading
        console.show(derivation_view(record, console.width))
    for one in checks:
        console.show(formula_view(one, console.width))
    console.show(formulas_view(checks))
    return passed
