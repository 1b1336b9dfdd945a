"""An n-gram model as a predictor of a mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.ngram.model import NGram
from rnnlm.text.corpus import Corpus
from rnnlm.work import Progress, Task


@dataclass
class NGramPredictor:
    """As ``evaluation.mixture.Predictor``; lines are texts of their own, whatever `state` says."""

    name: str
    model: NGram
    numbers = ""

    def log_probabilities(self, text: Corpus, state: str) -> Task[NDArray[np.float64]]:
        found = self.model.scores(text.ids(0, len(text)))
        yield Progress(f"scoring by {self.name}", len(text), len(text), "tokens")
        return found
