"""Errors of a formula: one line, the column, and what would be right."""

from __future__ import annotations

from rnnlm.errors import InputError


class FormulaError(InputError):
    """A formula that cannot be read or evaluated.

    Args:
        text: the formula; column: where in it, from 0; message: what is wrong there.
    """

    def __init__(self, text: str, column: int, message: str) -> None:
        before, after = text[max(0, column - 20) : column], text[column : column + 20]
        there = f"at {after!r}" if after.strip() else "at the end"
        there += f" after {before!r}" if before.strip() else ""
        super().__init__(f"--check: column {column + 1}, {there}: {message}")
        self.column, self.message = column, message


class SizeError(FormulaError):
    """Sizes that do not go together: the formula is readable, and may be explained."""
