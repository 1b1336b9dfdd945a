"""Subword models of Hugging Face's library tokenizers: files called tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rnnlm.errors import InputError, TextError
from rnnlm.text.tokenizers.subwords import missing


class TokenizersModel:
    """A model that tokenizers reads; the `Library` of ``subwords``. Special tokens are never read from a text.

    Args:
        data: the file. name: where it is from, for messages.

    Raises:
        InputError: tokenizers is not installed; this is no model of it; it leaves out what it does not know.
    """

    def __init__(self, data: bytes, name: str) -> None:
        try:
            import tokenizers
        except ImportError:
            raise missing("tokenizers") from None
        try:
            model: Any = tokenizers.Tokenizer.from_str(data.decode())
            parts = json.loads(data)
        except Exception as error:  # the library raises no other class
            why = " ".join(str(error).split())[:100]
            raise InputError(
                f"{name}: no tokenizer.json that tokenizers {tokenizers.__version__} reads ({why})"
            ) from None
        model.no_truncation()
        model.no_padding()
        model.encode_special_tokens = True
        self._model, self._name = model, name
        special = {token.content for token in model.get_added_tokens_decoder().values() if token.special}
        by_id = sorted(model.get_vocab(with_added_tokens=True).items(), key=lambda entry: entry[1])
        unknown = _unknown(parts["model"])
        self.pieces = tuple(token for token, _ in by_id if token not in special and token != unknown)
        self._known = frozenset(self.pieces)
        needed = _bytes(parts, tokenizers)
        self.is_complete = needed is not None and needed <= self._known
        if not self.is_complete and unknown is None:
            raise InputError(
                f"{name}: has neither all bytes nor a token for what is unknown, so that it leaves out characters; "
                "train a model with byte_fallback, with the byte-level alphabet or with an unknown token"
            )

    def cut(self, lines: Sequence[str]) -> list[list[str]]:
        """The pieces of each line."""
        encoded = self._model.encode_batch(list(lines), add_special_tokens=False)
        return [self._spelled(line, found) for line, found in zip(lines, encoded, strict=True)]

    def begins(self, line: str) -> list[int]:
        """The character of the line that each of its pieces begins at."""
        return [begin for begin, _ in self._model.encode(line, add_special_tokens=False).offsets]

    def joined(self, pieces: Sequence[str]) -> str:
        """The text of some pieces."""
        text: str = " ".join(pieces) if self._model.decoder is None else self._model.decoder.decode(list(pieces))
        return text

    def _spelled(self, line: str, found: Any) -> list[str]:
        """The pieces of a line; what is unknown as the line has it."""
        tokens: list[str] = found.tokens
        if self._known.issuperset(tokens):
            return tokens
        if self.is_complete:
            special = next(token for token in tokens if token not in self._known)
            raise TextError(
                f"{self._name}: spells a part of the text as its special token {special}; take {special} out of the "
                "text, or another model"
            )
        each = zip(tokens, found.offsets, strict=True)
        return [token if token in self._known else self._outside(line[begin:end]) for token, (begin, end) in each]

    def _outside(self, text: str) -> str:
        return text if text and text not in self._known else f"\ufffd{text}"


def _unknown(model: dict[str, Any]) -> str | None:
    """The token that a model has for what is unknown."""
    if model["type"] == "Unigram":
        return None if model.get("unk_id") is None else str(model["vocab"][model["unk_id"]][0])
    return model.get("unk_token")


def _bytes(parts: dict[str, Any], library: Any) -> frozenset[str] | None:
    """The tokens of single bytes that the model must have to know every text; None where it has no use for them."""
    if any(_has_byte_level(parts.get(step)) for step in ("pre_tokenizer", "normalizer")):
        return frozenset(library.pre_tokenizers.ByteLevel.alphabet())
    if parts["model"].get("byte_fallback"):
        return frozenset(f"<0x{value:02X}>" for value in range(256))
    return None


def _has_byte_level(step: Any) -> bool:
    """Whether a step of a tokenizer, or one of several, is that of byte-level models."""
    if not isinstance(step, dict):
        return False
    inner = step.get("pretokenizers") or step.get("normalizers") or ()
    return step.get("type") == "ByteLevel" or any(map(_has_byte_level, inner))
