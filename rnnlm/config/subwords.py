"""The section `data.subwords`: the model that cuts a text into subwords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from rnnlm.config.base import NOT_BOOL, Shorthand, Typed, UserPath

# 256 of the pieces are bytes.
_Size = Annotated[int, Field(ge=300, lt=2**31), NOT_BOOL]
_SIZE = "size of the vocabulary: pieces, 256 of them single bytes, and the line end"
_FILES = (".model", ".json")


class Unigram(Typed):
    """A unigram model (Kudo 2018), which sentencepiece trains on the training text."""

    type: Literal["unigram"] = "unigram"
    size: _Size = Field(8000, description=_SIZE)


class Bpe(Typed):
    """Byte-pair encoding (Sennrich, Haddow & Birch 2016), which sentencepiece trains on the training text."""

    type: Literal["bpe"] = "bpe"
    size: _Size = Field(8000, description=_SIZE)


class SubwordFile(Typed):
    """A model from a file."""

    type: Literal["file"] = "file"
    path: UserPath = Field(description="a model of sentencepiece (.model) or of tokenizers (tokenizer.json)")


SubwordModel = Unigram | Bpe | SubwordFile


@dataclass(frozen=True)
class SubwordShorthand(Shorthand):
    """A bare path stands for the model in that file, another bare value for its type."""

    def spell_out(self, value: Any) -> Any:
        if isinstance(value, str) and value.endswith(_FILES):
            return {"type": "file", "path": value}
        return super().spell_out(value)
