"""The section `embedding`: the size of the table, and its initializer (``init``)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rnnlm.config.base import Count, Positive, Section, Shorthand, Typed, UserPath

_SCALE = "standard deviation of the table's numbers at the start; null: as the method gives them"
_WINDOW = "words on each side that count as context"


class Uniform(Typed):
    """Independent numbers from a uniform distribution."""

    type: Literal["uniform"] = "uniform"
    scale: Positive | None = Field(0.1, description="standard deviation of the numbers; null: 0.1")


class Normal(Typed):
    """Independent numbers from a normal distribution."""

    type: Literal["normal"] = "normal"
    scale: Positive | None = Field(0.1, description="standard deviation of the numbers; null: 0.1")


class Svd(Typed):
    """Singular value decomposition of the positive pointwise mutual information of words and contexts."""

    type: Literal["svd"] = "svd"
    window: Count = Field(5, description=_WINDOW)
    scale: Positive | None = Field(0.1, description=_SCALE)


class Skipgram(Typed):
    """Skip-gram with negative sampling."""

    type: Literal["skipgram"] = "skipgram"
    window: Count = Field(5, description=_WINDOW)
    negative: Count = Field(5, description="noise words for each word of context")
    epochs: Count = Field(5, description="passes over the training text")
    scale: Positive | None = Field(0.1, description=_SCALE)


class File(Typed):
    """Word vectors from a file."""

    type: Literal["file"] = "file"
    path: UserPath = Field(description="word vectors (word2vec text or binary, GloVe, fastText .vec; gzip too)")
    scale: Positive | None = Field(0.1, description=_SCALE)


Init = Annotated[Uniform | Normal | Svd | Skipgram | File, Field(discriminator="type"), Shorthand()]


class Embedding(Section):
    """The embedding table and its initializer."""

    size: Count = Field(200, description="d, numbers a token")
    init: Init = Field(Uniform(), description="the initializer of the table")
    trainable: bool = Field(True, description="false: the table stays as it was initialized")
