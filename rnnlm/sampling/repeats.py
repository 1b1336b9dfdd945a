"""N-grams that a text has already, so that none occurs twice (Paulus et al. 2018, section 2.5)."""

from __future__ import annotations

from collections.abc import Iterable


class Repeats:
    """The n-grams of one text, token by token.

    Args:
        n: tokens of an n-gram; 1: no token twice. tokens: what the text begins with.
    """

    def __init__(self, n: int, tokens: Iterable[int]) -> None:
        self._last: tuple[int, ...] = ()  # the n - 1 tokens before the next one, fewer at the beginning
        self._n = n
        self._next: dict[
            tuple[int, ...], dict[int, None]
        ] = {}  # by n - 1 tokens, those that came after them, each once
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """The next token."""
        if len(self._last) == self._n - 1:
            self._next.setdefault(self._last, {})[token] = None
        self._last = (*self._last, token)[-(self._n - 1) :] if self._n > 1 else ()

    def completing(self) -> list[int]:
        """The tokens that would complete an n-gram which the text has already."""
        return list(self._next.get(self._last, ()))
