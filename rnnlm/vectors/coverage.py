"""Coverage of a vocabulary and of the training text by a file of word vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Coverage:
    """Coverage by types (the vocabulary's entries, <unk> and the line end with them) and by tokens (of the
    training text)."""

    types: int
    types_found: int
    lowercased: int
    """Of types_found, those that were found in lower case only."""
    tokens: int
    tokens_found: int

    @classmethod
    def of(cls, found: np.ndarray, lowercased: np.ndarray, counts: np.ndarray) -> Coverage:
        """From found, lowercased (bool) and counts (tokens of the training text), all by id."""
        return cls(len(found), int(found.sum()), int(lowercased.sum()), int(counts.sum()), int(counts[found].sum()))

    @property
    def share_of_types(self) -> float:
        return self.types_found / max(1, self.types)

    @property
    def share_of_tokens(self) -> float:
        return self.tokens_found / max(1, self.tokens)

    def __str__(self) -> str:
        lowercased = f", {self.lowercased} of them in lower case" if self.lowercased else ""
        return (
            f"{self.types_found} of {self.types} types found ({self.share_of_types:.1%}{lowercased}), "
            f"which are {self.share_of_tokens:.1%} of the training text's tokens"
        )
