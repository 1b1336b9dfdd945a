"""What an evaluation returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Evaluation:
    """A perplexity and all that it stands on. Losses are sums over tokens in nats."""

    perplexity: float
    perplexity_with_unk: float
    perplexity_without_unk: float | None
    tokens: int
    unknown: int
    line_ends: int
    characters: int
    bits_per_token: float
    bits_per_character: float
    state: str
    seconds: float
    tokens_per_second: float
    line_end_counts: bool = True
    lowest_perplexity: float | None = None
    notes: tuple[str, ...] = field(default=())

    def json(self) -> dict[str, Any]:
        return asdict(self)
