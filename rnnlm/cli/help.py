"""The help of a command: plain lines that wrap at any width, and an example."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_FormatterOf: Any = typer.Context.formatter_class


class _Formatter(_FormatterOf):
    """As wide as the screen, from 30 to 100 columns: names in a third of it, what they mean beside or below them."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(width=max(30, min(100, shutil.get_terminal_size().columns) - 2))

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(rows, min(col_max, max(8, self.width // 3)), col_spacing)


class _Context(typer.Context):
    formatter_class = _Formatter


class Command(TyperCommand):
    """A command of the command line."""

    context_class = _Context

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first sentence, whole."""
        return (self.help or "").partition("\n\n")[0]


class Group(TyperGroup):
    """A command that has commands."""

    context_class = _Context

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first sentence, whole."""
        return (self.help or "").partition("\n\n")[0]


# What one would type, by command.
EXAMPLES = {
    "init": ["rnnlm init my.txt"],
    "train": ["rnnlm train my.yaml", "rnnlm train my.yaml --resume", "rnnlm train quickstart --set model.cell=lstm"],
    "eval": [
        "rnnlm eval runs/my other.txt --state reset",
        "rnnlm eval runs/my old.txt --encoding latin-1",
        "rnnlm eval runs/my --with 5gram.arpa",
    ],
    "score": [
        "rnnlm score runs/my sentences.txt -o scores.tsv",
        "rnnlm score runs/my sentences.txt --by word",
        "rnnlm score runs/my items.tsv --input-columns item,region,word",
    ],
    "pairs": ["rnnlm pairs runs/my blimp/*.jsonl", "rnnlm pairs runs/my good.txt bad.txt -o pairs.tsv"],
    "rescore": [
        "rnnlm rescore runs/my dev.tsv --references dev.txt -o dev-rescored.tsv",
        "rnnlm rescore runs/my test.tsv --weight 0.5 --penalty 1.5 -o test-rescored.tsv",
    ],
    "syntaxgym": ["rnnlm syntaxgym runs/my suites/*.json", "rnnlm syntaxgym runs/my mvrr.json -o results.tsv"],
    "compare": ["rnnlm compare runs/my runs/other", "rnnlm compare runs/my runs/other my.txt --state reset"],
    "runs": ["rnnlm runs runs", "rnnlm runs runs/my runs/other --plot runs.png --by seconds"],
    "next": ["rnnlm next runs/my 'the dog'"],
    "sample": [
        "rnnlm sample runs/my --prompt 'the dog' --temperature 0.8",
        "rnnlm sample runs/my --prompts prompts.txt --samples 3 --logprobs --json",
    ],
    "ngram": ["rnnlm ngram my.yaml -o 5gram.arpa"],
    "vocab": ["rnnlm vocab my.yaml -o vocab.txt", "rnnlm vocab my.yaml --subwords bpe --size 8000"],
    "embed": ["rnnlm embed my.yaml --set embedding.init=skipgram -o vectors.txt"],
    "gradcheck": ["rnnlm gradcheck my.yaml --through all"],
    "gradients": [
        "rnnlm gradients runs/my my.txt --html ledger.html",
        "rnnlm gradients --over runs/my my.txt --steps 60 --losses 20",
        "rnnlm gradients runs/my my.txt --beside runs/other",
    ],
    "derive": [
        "rnnlm derive --scalar --html page.html",
        "rnnlm derive --cell lstm",
        "rnnlm derive numbers.yaml",
        'rnnlm derive numbers.yaml --check "dJ/dH = h(0)\' delta1(1)"',
    ],
    "inspect": ["rnnlm inspect runs/my", "rnnlm inspect runs/my --nearest dog --nearest cat"],
    "export": ["rnnlm export runs/my --to onnx -o my.onnx", "rnnlm export runs/my --to web -o page"],
    "import": ["rnnlm import weights.safetensors --vocab vocab.txt -o my.safetensors"],
    "bench": ["rnnlm bench my.yaml"],
    "corpus list": ["rnnlm corpus list"],
    "corpus make": ["rnnlm corpus make english --sentences 5000 --sentences 500 --sentences 500"],
    "corpus get": ["rnnlm corpus get tinyshakespeare"],
    "config show": ["rnnlm config show my.yaml --set model.cell=lstm"],
    "config schema": ["rnnlm config schema > rnnlm.schema.json"],
    "warmup": ["rnnlm warmup"],
}


def epilog(command: str) -> str:
    """The examples below a command's help; \\b keeps the lines."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in EXAMPLES[command])])
