"""Interfaces of the text and the vocabulary that an embedding table is made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Corpus(Protocol):
    """An encoded text; it may be larger than memory, so it is walked in blocks."""

    def __len__(self) -> int:
        """Tokens, line ends included."""

    def ids(self, start: int, stop: int) -> np.ndarray:
        """Token ids start to stop - 1, int32; what is not in the vocabulary is already the id of <unk>."""


class Vocabulary(Protocol):
    """Tokens by id."""

    def __len__(self) -> int: ...

    @property
    def tokens(self) -> Sequence[str]: ...

    @property
    def unk(self) -> int | None:
        """The id of <unk>, or None where no token is out of the vocabulary."""

    @property
    def line_end(self) -> int:
        """The id of </s>, or of the newline."""

    def bare(self, token_id: int, /) -> str:
        """The token as a text has it, without the marks of a tokenizer."""

    def spell(self, token_id: int, /) -> str:
        """A spelling of the token without whitespace."""
