"""Names of the scalar network's quantities: its steps counted from 1, or from 0 as textbooks do."""

from __future__ import annotations

from typing import NamedTuple


class ScalarNames(NamedTuple):
    """How the two steps are counted, and what the inputs are called.

    first: the number of the first step; input: the letter of the inputs. Counted from 1: s(0), e(1), e(2); from 0:
    s(-1), x(0), x(1).
    """

    first: int = 1
    input: str = "e"

    @property
    def steps(self) -> tuple[int, int]:
        return self.first, self.first + 1

    def s(self, step: int) -> str:
        """The state after step 1 or 2, or (step 0) before them, counted as in `rnnlm derive --scalar`."""
        return f"s({step - 1 + self.first})"

    def e(self, step: int) -> str:
        return f"{self.input}({step - 1 + self.first})"

    def z(self, step: int) -> str:
        return f"z({step - 1 + self.first})"
