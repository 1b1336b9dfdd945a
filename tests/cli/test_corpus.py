"""``rnnlm corpus``."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "ptbb"], "ptb"),
        (["make", "nowhere"], "nowhere"),
        (["make", "--sentences", "5"], "--sentences: found 1 numbers; give three"),
    ],
)  # fmt: skip
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["corpus", *arguments], message)
