"""Subword models of sentencepiece (Kudo & Richardson 2018): files that end in .model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnlm.errors import InputError
from rnnlm.text.tokenizers.subwords import missing


class SentencepieceModel:
    """A model that sentencepiece reads; the `Library` of ``subwords``.

    Args:
        data: the file. name: where it is from, for messages.

    Raises:
        InputError: sentencepiece is not installed; this is no model of it.
    """

    def __init__(self, data: bytes, name: str) -> None:
        try:
            import sentencepiece
        except ImportError:
            raise missing("sentencepiece") from None
        try:
            self._processor: Any = sentencepiece.SentencePieceProcessor(model_proto=data)
            size = self._processor.get_piece_size()
        except RuntimeError:
            size = 0
        if size == 0:
            raise InputError(
                f"{name}: neither a model of sentencepiece (.model) nor one of tokenizers (tokenizer.json)"
            )
        processor = self._processor
        left_out = (processor.is_control, processor.is_unknown, processor.is_unused)
        ids = [id for id in range(size) if not any(is_left_out(id) for is_left_out in left_out)]
        self.pieces = tuple(map(processor.id_to_piece, ids))
        self.is_complete = sum(map(processor.is_byte, ids)) == 256

    def cut(self, lines: Sequence[str]) -> list[list[str]]:
        """The pieces of each line."""
        found: list[list[str]] = self._processor.encode(list(lines), out_type=str)
        return found

    def begins(self, line: str) -> list[int]:
        """The character of the line that each of its pieces begins at."""
        return [begin for begin, _ in self._processor.encode(line, out_type="offset_mapping")["offsets"]]

    def joined(self, pieces: Sequence[str]) -> str:
        """The text of some pieces."""
        text: str = self._processor.decode_pieces(list(pieces))
        return text
