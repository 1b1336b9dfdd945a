"""The header of a model file: its metadata, validated whole before any of it is used."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

# Beyond 53 bits a float no longer tells neighbours apart; counts are kept in 64 bits.
Whole = Annotated[int, Field(strict=True, ge=0, lt=2**53)]
# Infinity is one (a perplexity too large for a float), NaN is none.
Figure = Annotated[float, Field(strict=True, ge=float("-inf"))]


class _Part(BaseModel):
    """A part of the metadata. Keys that this version does not know are kept and not looked at."""

    model_config = ConfigDict(strict=True, extra="allow")


class Training(_Part):
    """What training came to."""

    updates: Whole = 0
    epoch: Whole = 0
    best_validation_perplexity: Figure | None = None
    best_epoch: Whole | None = None
    lowest_perplexity: Figure | None = None
    texts: dict[str, str] = {}
    products: str | None = None
    version: str = ""
    source: dict[str, str | Whole] | None = None  # ``training.records.Source``


class Place(_Part):
    """Where training was, as far as files are concerned; the rest is training's own affair."""

    updates: Whole
    epoch: Whole
    corpus: str
    best: float | None = None  # the lowest validation perplexity


class SubwordModel(_Part):
    """The model that cuts a text into subwords: the file in base64, and its hash."""

    model: str
    sha256: str


class Header(_Part):
    """The metadata of a model file or checkpoint."""

    config: dict[str, Any]
    vocabulary: Annotated[list[str], Field(min_length=1)]
    counts: list[Whole]
    classes: list[Whole] | None = None
    subwords: SubwordModel | None = None
    training: Training
    position: Place | None = None
    paths: dict[str, str] = {}


def training_of(metadata: dict[str, Any]) -> dict[str, Any]:
    """What training came to, of metadata that are valid; with the figures that everybody reads, if they are not
    there."""
    return Training().model_dump(include={"updates", "epoch", "version"}) | metadata["training"]


def validate(metadata: dict[str, Any]) -> None:
    """Check the metadata of a model file.

    Raises:
        ValueError: one line with the first key that is wrong, what was found, and what would be right.
    """
    try:
        Header.model_validate(metadata)
    except ValidationError as error:
        raise ValueError(one_line(error)) from None


def one_line(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"])) or "all of it"
    found = "" if first["type"] == "missing" else f", found {_short(first['input'])}"
    return f"{key}: {first['msg']}{found}"


def _short(value: Any) -> str:
    """A value as a few characters; a number may have more digits than Python writes out."""
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a number beyond 64 bits"
    text = ascii(value) if not isinstance(value, dict | list) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}..."
