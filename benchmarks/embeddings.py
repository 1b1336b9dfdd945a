"""What each start of the embedding table does to the perplexity, after one and after all epochs, on the Penn
Treebank:

    python -m benchmarks.embeddings corpora/ptb

The recipe is configs/ptb-elman.yaml with fewer epochs, a smaller network and plain dropout (`_RECIPE`). `file` reads
vectors that gensim's word2vec (another implementation of skip-gram) made of the same training text; it is left out
where gensim is not installed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from rnnlm import pipeline
from rnnlm.config import file as config_file
from rnnlm.console import Console

_RECIPE = (
    "model.dropout=0.4", "train.learning_rate=0.006", "train.precision=float32",
)  # fmt: skip


def gensim_vectors(train: Path, size: int, target: Path) -> bool:
    """Skip-gram vectors by gensim in word2vec's text format; False without gensim."""
    try:
        from gensim.models import Word2Vec
    except ImportError:
        return False
    lines = [[*line.split(), "</s>"] for line in train.read_text(encoding="utf-8").splitlines()]
    model = Word2Vec(lines, vector_size=size, window=5, sg=1, negative=5, min_count=1, epochs=5, seed=1, workers=1)
    model.wv.save_word2vec_format(str(target))
    return True


def runs(ptb: Path, folder: Path, epochs: int, size: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Train with each start; yields its name and the perplexities."""
    texts = [f"data.{name}={ptb / f'ptb.{name}.txt'}" for name in ("train", "valid", "test")]
    network = [f"embedding.size={size}", f"model.hidden={size}", f"train.epochs={epochs}"]
    vectors = folder / "gensim.txt"
    for name in ("uniform", "normal", "svd", "skipgram", "file"):
        start = [f"embedding.init={name}"]
        if name == "file":
            folder.mkdir(parents=True, exist_ok=True)
            if not gensim_vectors(ptb / "ptb.train.txt", size, vectors):
                continue
            start.append(f"embedding.init.path={vectors}")
        config = config_file.load("ptb-elman", [*texts, *_RECIPE, *network, *start, f"run={folder / name}"])
        result = Console(quiet=True).watch(pipeline.run(config, restart=True), results=False)
        lines = (Path(config.run) / "log.jsonl").read_text(encoding="utf-8").splitlines()
        valid = [record for record in map(json.loads, lines) if record["event"] == "valid"]
        yield (
            name,
            {
                "valid_first": valid[0]["perplexity"],
                "valid_last": valid[-1]["perplexity"],
                "test": result["test"]["perplexity"],
                "minutes": valid[-1]["seconds"] / 60,
            },
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ptb", type=Path, help="folder with ptb.train.txt, ptb.valid.txt and ptb.test.txt")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--size", type=int, default=128, help="of the embedding and of the hidden layer")
    parser.add_argument("--folder", type=Path, default=Path("runs/embeddings"))
    arguments = parser.parse_args()
    print(
        "| start | validation after 1 epoch | after all | test | minutes |\n| --- | ---: | ---: | ---: | ---: |",
        flush=True,
    )
    for name, found in runs(arguments.ptb, arguments.folder, arguments.epochs, arguments.size):
        cells = [f"{found[key]:.2f}" for key in ("valid_first", "valid_last", "test")] + [f"{found['minutes']:.1f}"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
