"""Records of sampling."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampled:
    """The tokens that one sampling step chose, one a sample; None for a sample that has ended."""

    pieces: tuple[str | None, ...]


@dataclass(frozen=True)
class Samples:
    """Texts that a trained network wrote."""

    texts: tuple[str, ...]
