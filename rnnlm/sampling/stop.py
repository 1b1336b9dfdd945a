"""Stop strings: a text ends before the first of them."""

from __future__ import annotations

from collections.abc import Sequence

from rnnlm.text.tokenizers import Joiner


class Stop:
    """A detokenizer whose text ends before the first place where one of some strings stands.

    The end of the text that may be the beginning of a stop string is held back until the next tokens show whether
    it is one, so what was given out is never taken back.

    Args:
        joiner: puts the tokens together. strings: none of them empty.
    """

    def __init__(self, joiner: Joiner, strings: Sequence[str]) -> None:
        self._joiner, self._strings = joiner, strings
        self._held = ""
        self.found = False

    def add(self, token: str) -> str:
        """What this token adds to the text; nothing more is to come once a stop string is `found`."""
        return self._next(self._joiner.add(token))

    def rest(self) -> str:
        """What was held back, when no token comes any more."""
        text = self._next("" if self.found else self._joiner.rest())
        held, self._held = self._held, ""
        return text + held

    def _next(self, added: str) -> str:
        text = self._held + added
        places = [place for string in self._strings if (place := text.find(string)) >= 0]
        if places:
            self.found, self._held = True, ""
            return text[: min(places)]
        end = len(text) - max(_begun(text, string) for string in self._strings)
        self._held = text[end:]
        return text[:end]


def _begun(text: str, string: str) -> int:
    """How many characters at the end of the text are the beginning of the string, which is not whole."""
    longest = min(len(text), len(string) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(string[:length])), 0)
