"""Writes text with a trained network: ``rnnlm sample``."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from rnnlm.cli.arguments import JsonOption, ModelArgument, QuietOption


def command(
    model: ModelArgument,
    prompt: Annotated[str, typer.Option("--prompt", metavar="TEXT", help="What every sample begins with.")] = "",
    tokens: Annotated[int, typer.Option("--tokens", metavar="N", help="Tokens to write.")] = 100,
    samples: Annotated[int, typer.Option("--samples", metavar="N", help="How many, side by side.")] = 1,
    temperature: Annotated[
        float, typer.Option("--temperature", metavar="X", help="0: always the most likely.")
    ] = 1.0,
    top_k: Annotated[
        Optional[int], typer.Option("--top-k", metavar="K", help="Only the K most likely tokens.")
    ] = None,
    top_p: Annotated[
        Optional[float],
        typer.Option("--top-p", metavar="P", help="Only the fewest tokens that together have probability P."),
    ] = None,
    min_p: Annotated[
        Optional[float],
        typer.Option("--min-p", metavar="P", help="Only tokens with at least P times the largest probability."),
    ] = None,
    repetition_penalty: Annotated[
        float, typer.Option("--repetition-penalty", metavar="R", help="Above 1: repeat less.")
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Another number, another sample.")] = 0,
    no_unk: Annotated[bool, typer.Option("--no-unk", help="Never write <unk>.")] = False,
    line: Annotated[bool, typer.Option("--line", help="Stop at the end of the line.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write text with a trained network."""
    from rnnlm import api
    from rnnlm.console import Console
    from rnnlm.console.stream import stream
    from rnnlm.sampling.sample import Settings
    from rnnlm.text import tokenizers

    settings = Settings(
        tokens=tokens, samples=samples, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
        repetition_penalty=repetition_penalty, seed=seed, unk=not no_unk, stop_at_line_end=line,
    )  # fmt: skip
    console = Console(quiet)
    network = api.load(model)
    joiners = [tokenizers.joiner(network.config.data.unit, prompt) for _ in range(samples)]
    texts = stream(console, network.sampling(prompt, settings), prompt, joiners, show=not json)
    if json:
        console.json({"prompt": prompt, "samples": texts})
