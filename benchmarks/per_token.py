"""What the table of tokens (`rnnlm eval --per-token`) costs beside plain scoring:

    python -m benchmarks.per_token A C --rounds 3

Tokens a second of processor time on one thread: no table, the default columns, all columns; the state carried over
line ends, and reset there. Text: ids by Zipf's law with a line end after every twenty tokens.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.cases import CASES, Case
from rnnlm.evaluation import columns, perplexity
from rnnlm.evaluation.per_token import write_token_scores
from rnnlm.network import build
from rnnlm.network.network import Network
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end


def network_and_text(case: Case, tokens: int) -> tuple[Network, Corpus]:
    """A network with its initial weights, and a text of its words."""
    words = [*(f"w{i}" for i in range(case.vocabulary - 2)), "</s>", "<unk>"]
    vocabulary = Vocabulary(words, [1] * len(words), "word", False)
    ids = case.ids(-(-tokens // (case.steps * case.batch))).T.ravel()[:tokens].tolist()
    text = [word if i % 21 else "</s>" for i, word in enumerate((words[id] for id in ids), 1)]
    config = case.config(threads=1)
    table = np.random.default_rng(1).uniform(-0.1, 0.1, (len(words), case.hidden)).astype(np.float32)
    network = build.build(config, build.init(config, len(words), table))
    return network, corpus.from_tokens(text, 6 * tokens, vocabulary, "text")


def speeds(case: Case, tokens: int, rounds: int, state: str) -> dict[str, float]:
    """Tokens a second, the median of some rounds, in which the ways take turns."""
    network, text = network_and_text(case, tokens)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "tokens.tsv"
        ways: dict[str, Callable[[], object]] = {
            "no table": lambda: run_to_end(perplexity.evaluate(network, text, state)),
            "default columns": lambda: run_to_end(write_token_scores(network, text, state, table)),
            "all columns": lambda: run_to_end(
                write_token_scores(network, text, state, table, tuple(columns.COLUMNS))
            ),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for round in range(rounds + 1):
            for name, way in ways.items():
                began = time.process_time()
                way()
                if round:  # the first one compiles, or reads what was compiled
                    seconds[name].append(time.process_time() - began)
    return {name: tokens / statistics.median(found) for name, found in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--tokens", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.cases:
        for state in ("carry", "reset"):
            found = speeds(CASES[name], arguments.tokens, arguments.rounds, state)
            print(name, state, *(f"{way} {speed:,.0f}" for way, speed in found.items()), sep="  ")


if __name__ == "__main__":
    main()
