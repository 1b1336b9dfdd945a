"""The vocabulary: tokens by id, by falling count in the training text.

Kept as readable text, ``token TAB count`` a line. Characters and bytes that would not show are escaped
(``\\n``, ``\\u00a0``, ``\\xff``; a backslash is ``\\\\``), in subwords too; words hold no white space and stand as
they are.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import TextError
from rnnlm.files import atomic as storage
from rnnlm.text import files, tokenizers
from rnnlm.text.joined import TextPath
from rnnlm.text.tokenizers import UNKNOWN, WHITESPACE, Subwords
from rnnlm.work import Note, Progress, Task

# So many digits fit 64 bits.
_COUNT = re.compile(r"\s*[0-9]{1,18}\s*")


class Vocabulary:
    """Tokens by id.

    Attributes:
        tokens: by id; counts: how often each stood in the training text (int64).
        unit: word, char, byte or subword; lowercase: whether a text is lower-cased before it is cut; tokenizer: of
            words, a name in ``tokenizers.WORD_TOKENIZERS``; of subwords, what cuts them.
        classes: the class of each token (int32), where the output layer's classes come from the text or a file.
        unk: id of ``<unk>``, None for bytes and for subwords that have all bytes; line_end: id of ``</s>`` (words and
            subwords) or of the newline.
    """

    def __init__(
        self,
        tokens: Iterable[str],
        counts: Iterable[int],
        unit: str,
        lowercase: bool,
        tokenizer: str | Subwords = WHITESPACE,
        classes: NDArray[np.int32] | None = None,
    ) -> None:
        self.tokens = tuple(tokens)
        self.counts: NDArray[np.int64] = np.fromiter(counts, np.int64, len(self.tokens))
        self.unit = unit
        self.lowercase = lowercase
        self.tokenizer = tokenizer
        self.classes = classes
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        self.unk = self._ids.get(UNKNOWN)
        self.line_end = self._ids[tokenizers.line_end(unit)]
        self._by_code_point: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def id(self, token: str) -> int | None:
        """The token's id, None when it is not in the vocabulary."""
        return self._ids.get(token)

    @property
    def has_whole_words(self) -> bool:
        """Whether a token is what stands between white space."""
        return self.unit == "word" and self.tokenizer == WHITESPACE

    @property
    def kind(self) -> str:
        """What the tokens are, for messages."""
        return f"{self.unit}s" + (" with punctuation apart" if self.tokenizer == "unicode" else "")

    def split(self, text: str, source: str = "text", line: int = 1) -> Sequence[str]:
        """The tokens of a string, as ``tokenizers.split``."""
        return tokenizers.split(text, self.unit, self.lowercase, source, line, self.tokenizer)

    def joiner(self, after: str = "") -> tokenizers.Joiner:
        """The detokenizer, as ``tokenizers.joiner``."""
        return tokenizers.joiner(self.unit, after, self.tokenizer)

    def encode(self, tokens: Sequence[str]) -> NDArray[np.int32]:
        """Ids of some tokens; a token that is not in the vocabulary gets the id |V|, one past the last."""
        outside = len(self)
        if isinstance(tokens, str):
            return self._table()[np.frombuffer(tokens.encode("utf-32-le", "surrogatepass"), "<u4")]
        get = self._ids.get
        return np.fromiter((get(token, outside) for token in tokens), np.int32, len(tokens))

    @property
    def unk_untrained(self) -> bool:
        """Whether there is an <unk> that never stood in the training text: what is scored as it means nothing."""
        return self.unk is not None and int(self.counts[self.unk]) == 0

    def unknown(self, tokens: Sequence[str]) -> Note | None:
        """What is said of tokens that are not in the vocabulary, each once; None: all are."""
        ids = self.encode(tokens).tolist()
        unknown = dict.fromkeys(token for token, id in zip(tokens, ids, strict=True) if id == len(self))
        listed = ", ".join(map(repr, unknown))
        return Note(f"not in the vocabulary, read as <unk>: {listed}", warning=True) if unknown else None

    def to_unk(self, ids: NDArray[Any]) -> NDArray[np.int32]:
        """Ids outside of the vocabulary (|V|, one past the last) become the id of <unk>."""
        if self.unk is None:
            return ids.astype(np.int32)
        return np.where(ids == len(self), self.unk, ids).astype(np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids."""
        return tokenizers.join([self.tokens[i] for i in ids], self.unit, self.tokenizer)

    def begins(self, line: str) -> list[int]:
        """Of subwords: the character that each token of a line begins at; of the line in lower case, where it is read
        so."""
        assert isinstance(self.tokenizer, Subwords)
        return self.tokenizer.begins(line, self.lowercase)

    def bare(self, id: int) -> str:
        """The token as a text has it, without the marks of ``tokenizer: unicode`` and of subwords."""
        return tokenizers.find(self.unit, self.tokenizer).bare(self.tokens[id])

    def spell(self, id: int) -> str:
        """The token without white space, as the vocabulary file has it."""
        return _escape(self.tokens[id], self.unit)

    def text(self) -> str:
        """The vocabulary file's content."""
        lines = (f"{self.spell(i)}\t{count}\n" for i, count in enumerate(self.counts.tolist()))
        return "".join(lines)

    def hash(self) -> str:
        """Of all that decides which ids a text gets."""
        tokenizer = "" if self.tokenizer == WHITESPACE else f" {self.tokenizer}"
        return hashlib.sha256(f"{self.unit} {self.lowercase}{tokenizer}\n{self.text()}".encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        storage.write_text(path, self.text())

    def _table(self) -> NDArray[np.int32]:
        if self._by_code_point is None:
            table = np.full(0x110000, len(self), np.int32)
            for i, token in enumerate(self.tokens):
                if len(token) == 1:
                    table[ord(token)] = i
            self._by_code_point = table
        return self._by_code_point


def build(
    path: TextPath,
    unit: str,
    lowercase: bool,
    min_count: int,
    max_size: int | None,
    tokenizer: str | Subwords = WHITESPACE,
    encoding: str = UTF_8,
) -> Task[Vocabulary]:
    """Count a training text and keep what is frequent enough. Yields Progress, returns a Vocabulary.

    The order is by falling count, then by code points. ``<unk>`` is counted with all that was left out. All
    256 bytes, and all pieces of subwords, are kept whatever the text has.

    Raises:
        TextError: the text is empty or cannot be read.
    """
    total = files.size(path)
    counts: Counter[str] = Counter()
    for piece in tokenizers.pieces(path, unit, lowercase, tokenizer, encoding):
        counts.update(_count(piece.tokens))
        yield Progress("vocabulary", piece.done, total, "bytes")
    if not counts:
        raise TextError(f"{files.name(path)}: empty; a vocabulary needs a training text")
    return select(counts, unit, lowercase, min_count, max_size, tokenizer)


def select(
    counts: Counter[str], unit: str, lowercase: bool, min_count: int, max_size: int | None,
    tokenizer: str | Subwords = WHITESPACE,
) -> Vocabulary:  # fmt: skip
    """The vocabulary of these counts."""
    if unit == "byte":
        return _ordered({chr(value): counts[chr(value)] for value in range(256)}, unit, lowercase)
    if isinstance(tokenizer, Subwords):
        all_pieces = {token: counts[token] for token in tokenizer.tokens}
        if UNKNOWN in all_pieces:
            all_pieces[UNKNOWN] = sum(counts.values()) - sum(all_pieces.values())
        return _ordered(all_pieces, unit, lowercase, tokenizer)
    special = (UNKNOWN, tokenizers.line_end(unit))
    candidates = sorted(
        (token for token, count in counts.items() if count >= min_count and token not in special),
        key=lambda token: (-counts[token], token),
    )
    if max_size is not None:
        candidates = candidates[: max_size - len(special)]
    kept = {token: counts[token] for token in (*candidates, *special)}
    kept[UNKNOWN] += sum(counts.values()) - sum(kept.values())
    return _ordered(kept, unit, lowercase, tokenizer)


def load(path: str | Path, unit: str, lowercase: bool, tokenizer: str | Subwords = WHITESPACE) -> Vocabulary:
    """Read a vocabulary file; ``<unk>``, the line end and pieces of subwords are added with count 0 where they are
    missing.

    Raises:
        TextError: names the line of a duplicate token, a line without a count, or a token that is none of
            this unit or of these subwords.
    """
    subwords = tokenizer if isinstance(tokenizer, Subwords) else None
    needed = _needed(unit) if subwords is None else subwords.tokens
    pieces = frozenset(needed)
    first_line: dict[str, int] = {}
    counts: dict[str, int] = {}
    for number, line in files.table_lines(path, "a vocabulary"):
        spelled, tab, count = line.rpartition("\t")
        if not tab or not _COUNT.fullmatch(count):
            raise TextError(f"{path}:{number}: found {line[:40]!r}; a line is: token TAB count")
        token = _unescape(spelled, unit)
        if token is None or not _is_token(token, unit):
            raise TextError(
                f"{path}:{number}: {spelled[:40]!r} is no single {unit}; was this built with data.unit: {unit}?"
            )
        if subwords is not None and token not in pieces:
            raise TextError(
                f"{path}:{number}: {spelled[:40]!r} is no piece of {subwords.name}; was this built with that model?"
            )
        if token in counts:
            raise TextError(
                f"{path}:{number}: {spelled!r} stands already on line {first_line[token]}; remove one of them"
            )
        first_line[token] = number
        counts[token] = int(count)
    if not counts:
        raise TextError(f"{path}: empty; a vocabulary has a token a line")
    for token in needed:
        counts.setdefault(token, 0)
    return Vocabulary(counts, counts.values(), unit, lowercase, tokenizer)


def check_tokens(tokens: Sequence[str], counts: Sequence[int], unit: str) -> None:
    """Check the tokens and counts of a vocabulary that a model's file holds.

    Raises:
        ValueError: the first thing that is wrong.
    """
    if len(counts) != len(tokens):
        raise ValueError(f"the vocabulary has {len(tokens):,} tokens and {len(counts):,} counts")
    different = set(tokens)
    if len(different) < len(tokens):
        raise ValueError("the vocabulary has a token twice")
    for token in _needed(unit):
        if token not in different:
            raise ValueError(f"the vocabulary has no {_escape(token, unit)}")
    for token in tokens:
        if not _is_token(token, unit):
            raise ValueError(f"the vocabulary's {ascii(token)[:40]} is no single {unit}")


def _needed(unit: str) -> Sequence[str]:
    """The tokens that every vocabulary of this unit has."""
    if unit == "byte":
        return [chr(value) for value in range(256)]
    return [*([] if unit == "subword" else [UNKNOWN]), tokenizers.line_end(unit)]


def _count(tokens: Sequence[str]) -> Counter[str] | dict[str, int]:
    if not isinstance(tokens, str):
        return Counter(tokens)
    values, counts = np.unique(np.frombuffer(tokens.encode("utf-32-le", "surrogatepass"), "<u4"), return_counts=True)
    return {chr(value): int(count) for value, count in zip(values, counts, strict=True)}


def _ordered(
    counts: dict[str, int], unit: str, lowercase: bool, tokenizer: str | Subwords = WHITESPACE
) -> Vocabulary:
    tokens = sorted(counts, key=lambda token: (-counts[token], token))
    return Vocabulary(tokens, (counts[token] for token in tokens), unit, lowercase, tokenizer)


def _is_token(token: str, unit: str) -> bool:
    if unit == "word":
        return token.split() == [token]
    if unit == "char":
        return len(token) == 1 or token == UNKNOWN
    if unit == "subword":
        return token != ""
    return len(token) == 1 and ord(token) < 256


_SPELLED = re.compile(r"\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|\\.|[^\\]+|\\", re.DOTALL)  # an escape, or what is none
_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}


def _escape(token: str, unit: str) -> str:
    if unit == "subword":
        return "".join(_escape(c, "char") for c in token)
    if unit == "word" or len(token) != 1:
        return token
    if token in _ESCAPES:
        return _ESCAPES[token]
    if unit == "byte":
        return token if "!" <= token <= "~" else f"\\x{ord(token):02x}"
    if token.isprintable() and not token.isspace():
        return token
    return f"\\u{ord(token):04x}" if ord(token) < 0x10000 else f"\\U{ord(token):08x}"


def _unescape(spelled: str, unit: str) -> str | None:
    """The token, None when the spelling means nothing."""
    if unit == "subword":
        parts = [_unescape(part, "char") for part in _SPELLED.findall(spelled)]
        return None if None in parts else "".join(map(str, parts))
    if unit == "word" or not spelled.startswith("\\"):
        return spelled
    for token, escaped in _ESCAPES.items():
        if spelled == escaped:
            return token
    if spelled[1:2] in ("x", "u", "U"):
        try:
            return chr(int(spelled[2:], 16))
        except (ValueError, OverflowError):
            return None
    return None
