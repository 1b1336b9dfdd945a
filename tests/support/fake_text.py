"""A text and a vocabulary in memory, as the makers of tables see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnlm.config.embedding import Embedding
from rnnlm.vectors.protocols import Corpus, Vocabulary

SPELLINGS = {"\n": r"\n", " ": r"\u0020", "\\": r"\\"}


class FakeCorpus:
    def __init__(self, ids: Sequence[int] | np.ndarray) -> None:
        self._ids = np.asarray(ids, np.int32)
        self.longest_read = 0

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self, start: int, stop: int) -> np.ndarray:
        assert 0 <= start <= stop <= len(self)
        self.longest_read = max(self.longest_read, stop - start)
        return self._ids[start:stop]


class FakeVocabulary:
    def __init__(self, tokens: Sequence[str], unk: str | None = "<unk>", line_end: str = "</s>") -> None:
        self.tokens = tuple(tokens)
        self.unk = self.tokens.index(unk) if unk in self.tokens else None
        self.line_end = self.tokens.index(line_end)

    def __len__(self) -> int:
        return len(self.tokens)

    def bare(self, token_id: int) -> str:
        return self.tokens[token_id]

    def spell(self, token_id: int) -> str:
        return "".join(SPELLINGS.get(c, c) for c in self.tokens[token_id])


def words_of(text: str) -> tuple[FakeCorpus, FakeVocabulary]:
    """A word-level text; </s> is id 0, <unk> id 1, the others by first occurrence."""
    tokens = [token for line in text.splitlines() for token in [*line.split(), "</s>"]]
    vocabulary = FakeVocabulary(list(dict.fromkeys(["</s>", "<unk>", *tokens])))
    ids = {token: i for i, token in enumerate(vocabulary.tokens)}
    return FakeCorpus([ids[token] for token in tokens]), vocabulary


def settings(init: str, size: int, **options: Any) -> Embedding:
    return Embedding.model_validate({"size": size, "init": {"type": init, **options}})


# The fakes are what the library asks for.
_corpus: Corpus = FakeCorpus([])
_vocabulary: Vocabulary = FakeVocabulary(["</s>"])
