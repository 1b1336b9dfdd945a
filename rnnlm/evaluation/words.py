"""Scores of the words of a line, whatever its tokens are: those that stand between white space.

    surprisal of a word = sum over its tokens of - log2 y^        bits

Of characters and bytes a word takes the white space behind it too, so that its end is part of it: what ends a word
is predicted by the word and not by the next one (Oh & Schuler 2024; Pimentel & Meister 2024). White space at the
line's beginning belongs to the first word, a line end to the last; a line without a word has no row. Of words the
line end is a row of its own; the tokens of ``data.tokenizer: unicode`` are added up, punctuation to the word that it
stands at. Of subwords the line end is a row of its own too, and the white space before a word, which its first piece
has in it, is part of it; a piece that spells several words counts to the first.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.evaluation.lines import ScoredLines
from rnnlm.text import tokenizers
from rnnlm.text.vocabulary import Vocabulary

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class WordScore:
    """Score of one word.

    line: of the text, id: of the line, where lines have ids; position: of the word in the line; line and position
    are counted from 1. word: as the text has it; start, end: its characters in the line (without its id), from 0 to
    before end. tokens: how many; is_unk: whether any of them was scored as <unk>. log_probability: in nats;
    surprisal: in bits; entropy: of the prediction, in bits; entropy_reduction: by how much it is below that of the
    word before, 0 where it is above (Hale 2006); alternative: the most probable token there, the word itself where
    its rank is 1, and its surprisal, in bits. The last four: of models whose tokens are whole words, where asked for;
    else None.
    """

    line: int
    id: str | None
    position: int
    word: str
    start: int
    end: int
    tokens: int
    is_unk: bool
    log_probability: float
    surprisal: float
    entropy: float | None
    entropy_reduction: float | None
    alternative: str | None
    alternative_surprisal: float | None


def words_of(found: ScoredLines, vocabulary: Vocabulary, details: bool = False) -> Iterator[list[WordScore]]:
    """The words of each line. details: with entropy and alternative, which `found` must have then."""
    for i, line in enumerate(found.lines):
        scores, text = found.tokens_of(i), line.text
        places = [match.span() for match in _WORD.finditer(text)]
        if tokenizers.ends_lines(vocabulary.unit):
            firsts = _first_tokens(text, places, vocabulary)
            if found.ends[i]:  # the line end
                places.append((len(text), len(text)))
            else:
                firsts.pop()
        else:
            starts = _token_starts(text, vocabulary)
            firsts = [0, *(int(starts[start]) for start, _ in places[1:])][: len(places)]
        bounds = itertools.pairwise([*firsts, len(scores.position)])
        row, before = [], None
        for position, ((start, end), (first, last)) in enumerate(zip(places, bounds, strict=True), 1):
            nats = float(scores.log_probability[first:last].sum())
            entropy = float(scores.entropy[first]) / math.log(2) if details else None
            reduction = None if entropy is None else max(0.0, (entropy if before is None else before) - entropy)
            before = entropy
            alternative = vocabulary.tokens[int(scores.alternative[first])] if details else None
            bits = -float(scores.alternative_log_probability[first]) / math.log(2) if details else None
            word = text[start:end] if end > start else tokenizers.line_end(vocabulary.unit)
            row.append(
                WordScore(
                    line.number, found.ids[i], position, word, start, end, last - first,
                    bool(scores.unknown[first:last].any()), nats, -nats / math.log(2), entropy, reduction,
                    alternative, bits,
                )
            )  # fmt: skip
        yield row


def _first_tokens(text: str, places: list[tuple[int, int]], vocabulary: Vocabulary) -> list[int]:
    """The first token of each word of a line, and of what comes after the last one."""
    if vocabulary.has_whole_words:
        return list(range(len(places) + 1))
    if vocabulary.unit == "word":
        return [0, *itertools.accumulate(len(vocabulary.split(text[start:end])) for start, end in places)]
    read = text.lower() if vocabulary.lowercase else text
    ends = [match.end() for match in _WORD.finditer(read)]
    # The word of each token: the first one that ends behind the place where the token begins.
    numbers = np.maximum.accumulate(np.searchsorted(ends, [0, *vocabulary.begins(text)], side="right"))[1:]
    return [0, *np.searchsorted(numbers, np.arange(1, len(places) + 1)).tolist()]


def _token_starts(text: str, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The first token of each character of a line; a character may be several (bytes, and in lower case İ)."""
    if len(vocabulary.split(text)) == len(text):
        return np.arange(len(text))
    lengths = [len(vocabulary.split(character)) for character in text]
    return np.cumsum([0, *lengths])[:-1]
