"""The networks that rnnlm and PyTorch are timed on, and the token ids that both of them read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.schema import Config


@dataclass(frozen=True)
class Case:
    """One layer of `hidden` units (of an Elman network: `activation`) with embeddings of the same size, |V| words,
    `batch` streams, windows of `steps`."""

    name: str
    what: str
    vocabulary: int
    hidden: int
    batch: int
    steps: int
    cell: str = "elman"
    activation: str = "tanh"
    text: str | None = None  # read its words instead of drawing ids

    def config(self, precision: str = "float32", threads: int = 2, output: Any = "softmax") -> Config:
        """SGD with clipping, the state carried over windows."""
        return Config.model_validate(
            {
                "data": {"train": "none"},
                "embedding": {"size": self.hidden},
                "model": {
                    "cell": {"type": "elman", "activation": self.activation} if self.cell == "elman" else self.cell,
                    "hidden": self.hidden,
                    "output": output,
                },
                "train": {
                    "bptt": self.steps,
                    "batch": self.batch,
                    "optimizer": "sgd",
                    "learning_rate": 0.1,
                    "clip_norm": 5.0,
                    "precision": precision,
                    "threads": threads,
                },
            }
        )

    def ids(self, windows: int) -> NDArray[np.int32]:
        """(windows * steps + 1) x batch ids as frequent as in a natural text: those of `text`, or by Zipf's law."""
        shape = (windows * self.steps + 1, self.batch)
        if self.text is not None:
            words = Path(self.text).read_text(encoding="utf-8").replace("\n", " <eos> ").split()
            numbers = {word: i for i, (word, _) in enumerate(Counter(words).most_common())}
            read = np.array([numbers[word] for word in words], np.int32)
            return np.ascontiguousarray(np.resize(read, shape[::-1]).T)
        generator = np.random.default_rng(1)
        weights = 1 / np.arange(1, self.vocabulary + 1)
        found = generator.choice(self.vocabulary, shape, p=weights / weights.sum())
        return np.asarray(found, np.int32)

    def counts(self) -> NDArray[np.int64]:
        """Of each token in a text of 10 |V| tokens by Zipf's law."""
        weights = 1 / np.arange(1, self.vocabulary + 1)
        return np.ceil(10 * self.vocabulary * weights / weights.sum()).astype(np.int64)

    @property
    def products(self) -> float:
        """Floating-point operations a token in the matrix products that must be done: forward, and twice that
        backward, for the output layer and the recurrence; a distinct token's projection is counted once a window."""
        h, v, blocks = self.hidden, self.vocabulary, {"elman": 1, "gru": 3, "lstm": 4}[self.cell]
        distinct = np.mean([np.unique(block).size for block in self._windows()])
        projection = 3 * 2 * h * blocks * h * distinct / (self.steps * self.batch)
        return float(3 * 2 * h * v + 3 * 2 * h * blocks * h + projection)

    def _windows(self) -> list[NDArray[np.int32]]:
        ids = self.ids(4)
        return [ids[i * self.steps : (i + 1) * self.steps] for i in range(4)]


CASES = {
    case.name: case
    for case in (
        Case("A", "characters, tanh 128", 65, 128, 32, 50),
        Case("B", "characters, tanh 512", 65, 512, 64, 50),
        Case("C", "words, V 10,000, tanh 200", 10_000, 200, 20, 35),
        Case("D", "words, V 10,000, tanh 650", 10_000, 650, 20, 35),
        Case("E", "words, V 33,000, tanh 400", 33_000, 400, 32, 35),
        Case("V100", "words, V 100,000, tanh 400", 100_000, 400, 32, 35),
        Case("V200", "words, V 200,000, tanh 400", 200_000, 400, 32, 35),
        Case("S", "words, V 10,000, sigmoid 200", 10_000, 200, 2, 35, activation="sigmoid"),
        Case("L650", "words, V 10,000, LSTM 650", 10_000, 650, 20, 35, "lstm"),
        Case("G650", "words, V 10,000, GRU 650", 10_000, 650, 20, 35, "gru"),
        Case("L256", "characters, LSTM 256", 65, 256, 32, 50, "lstm"),
        Case("G256", "characters, GRU 256", 65, 256, 32, 50, "gru"),
        Case("L512", "characters, LSTM 512", 65, 512, 64, 50, "lstm"),
        Case("G512", "characters, GRU 512", 65, 512, 64, 50, "gru"),
    )
}
