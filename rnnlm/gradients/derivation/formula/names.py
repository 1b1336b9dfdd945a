"""Names in a formula: the letters of the network with matrices, and of the scalar network.

A name is a letter and, where the quantity has a step, the step: h(1), delta1(2), s(-1). What it stands for is the
name of ``Unrolled``, where the steps are 1 to T.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from rnnlm.gradients.derivation.scalar_names import ScalarNames
from rnnlm.gradients.derivation.unrolled import SIZES

Sizes = tuple[str, str]


class Letter(NamedTuple):
    """What a letter stands for.

    base: the quantity of ``Unrolled``, or "delta1", "delta2"; steps: its steps, as they are typed (None: it has
    none); step: the only step that it has, where none is typed.
    """

    base: str
    steps: range | None = None
    step: int | None = None


@dataclass(frozen=True)
class Names:
    """The letters of a network.

    Attributes:
        letters: by their spelling.
        first, last: the first and the last step, as they are typed.
        digits: whether s0 stands for s(0).
        default: the step of a quantity that is typed without one; None: it must have one.
        small: sizes that are 1 here.
    """

    letters: dict[str, Letter]
    first: int
    last: int
    digits: bool = False
    default: int | None = None
    small: frozenset[str] = field(default_factory=frozenset)

    def key(self, base: str, step: int | None) -> str:
        """The name in ``Unrolled`` of a quantity at a typed step."""
        return base if step is None else f"{base}({step - self.first + 1})"

    def typed(self, key: str) -> str:
        """How a quantity of ``Unrolled`` is typed here, such as H|2 or h(1)."""
        base, bar, at = key.partition("|")
        name, bracket, step = base.partition("(")
        letter = next(letter for letter, one in self.letters.items() if one.base == name)
        shown = letter if not bracket or self.letters[letter].steps is None else f"{letter}({self.shift(step[:-1])})"
        return shown + (f"|{self.shift(at)}" if bar else "")

    def shift(self, step: str | int) -> int:
        """A step of ``Unrolled`` as it is typed."""
        return int(step) + self.first - 1

    def sizes(self, base: str) -> Sizes:
        """The sizes of a quantity, by their symbols."""
        rows, columns = SIZES[{"delta1": "z1", "delta2": "z2"}.get(base, base)]
        return ("1" if rows in self.small else rows), ("1" if columns in self.small else columns)

    def listed(self) -> str:
        """All names, for messages."""
        return ", ".join(self._listed())

    def _listed(self) -> Iterable[str]:
        done = set()
        for letter, one in self.letters.items():
            if one.base in done:
                continue
            done.add(one.base)
            steps = one.steps
            if steps is None or one.base == "J":
                yield letter
            elif len(steps) == 1:
                yield f"{letter}({steps[0]})"
            else:
                yield f"{letter}({steps[0]}) to {letter}({steps[-1]})"


def of_matrices(steps: int, losses: list[int]) -> Names:
    """The letters of the network with matrices."""
    every, with_loss = range(1, steps + 1), range(losses[0], losses[-1] + 1)
    letters = {
        "e": Letter("e", every), "h": Letter("h", range(steps + 1)),
        "H": Letter("H"), "I": Letter("I"), "b1": Letter("b1"), "U": Letter("U"), "b2": Letter("b2"),
        "z1": Letter("z1", every), "z2": Letter("z2", every), "y^": Letter("y^", every), "y": Letter("y", with_loss),
        "delta1": Letter("delta1", range(1, steps + 2)), "delta2": Letter("delta2", every),
        "J": Letter("J", with_loss), "x": Letter("e", every),
    }  # fmt: skip
    return Names(letters, 1, steps, default=1 if steps == 1 else None)


def of_scalars(names: ScalarNames) -> Names:
    """The letters of the scalar network."""
    first, last = names.steps
    both, other = range(first, last + 1), "x" if names.input == "e" else "e"
    letters = {
        "s": Letter("h", range(first - 1, last + 1)), names.input: Letter("e", both),
        "w": Letter("H"), "v": Letter("I"), "b": Letter("b1"), "u": Letter("U"), "c": Letter("b2"),
        "z": Letter("z1", both), "o": Letter("z2", None, last), "y^": Letter("y^", None, last),
        "y": Letter("y", None, last), "delta": Letter("delta1", range(first, last + 2)),
        "delta2": Letter("delta2", None, last), "J": Letter("J"), other: Letter("e", both),
    }  # fmt: skip
    return Names(letters, first, last, digits=True, small=frozenset({"d", "D_h"}))
