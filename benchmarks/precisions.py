"""What each precision does to the perplexity: validation after each epoch, same seed, on the Penn Treebank.

    python -m benchmarks.precisions corpora/ptb --epochs 4

The recipe is configs/ptb-elman.yaml with a smaller network and plain dropout (as in ``benchmarks.embeddings``).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rnnlm import pipeline
from rnnlm.config import file as config_file
from rnnlm.console import Console
from rnnlm.files import log

PRECISIONS = ("float32", "bfloat16", "bfloat16x3")


def perplexities(ptb: Path, folder: Path, precision: str, epochs: int, size: int) -> list[float]:
    """Of the validation text after each epoch."""
    texts = [f"data.{name}={ptb / f'ptb.{name}.txt'}" for name in ("train", "valid", "test")]
    recipe = [
        f"embedding.size={size}", f"model.hidden={size}", f"train.epochs={epochs}", "model.dropout=0.4",
        "train.learning_rate=0.006", f"train.precision={precision}", f"run={folder / precision}",
    ]  # fmt: skip
    config = config_file.load("ptb-elman", [*texts, *recipe])
    Console(quiet=True).watch(pipeline.run(config, restart=True), results=False)
    return [record["perplexity"] for record in log.read(Path(config.run)) if record["event"] == "valid"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ptb", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        exact: list[float] = []
        for precision in arguments.precisions:
            found = perplexities(arguments.ptb, Path(name), precision, arguments.epochs, arguments.size)
            exact = exact or found
            print(precision, *(f"{a:.3f} ({a / b - 1:+.2%})" for a, b in zip(found, exact, strict=True)), flush=True)


if __name__ == "__main__":
    main()
