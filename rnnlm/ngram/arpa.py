"""ARPA files, the common format of back-off n-gram models (SRILM, KenLM).

    log10 p TAB words TAB log10 b        b left out where the n-gram is no context

Tokens of characters and bytes are spelled as in the vocabulary's file, so that none is white space.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import InputError, TextError
from rnnlm.files.atomic import atomic_write
from rnnlm.ngram.model import NGram, Order, find
from rnnlm.text import files
from rnnlm.text.lines import lines
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress, Task

_LOG_10 = math.log(10)
_BEGIN = "<s>"
_NEVER = -99.0  # log10 p of <s>, which never comes
_COUNT = re.compile(r"ngram ([1-9][0-9]?)=([0-9]{1,15})")


def write(path: Path, model: NGram, vocabulary: Vocabulary) -> Task[None]:
    """Write a model. Yields Progress."""
    words = _words(vocabulary)
    total, done = sum(len(order.keys) for order in model.orders), 0
    with atomic_write(path) as file:
        counts = "".join(f"ngram {n}={len(order.keys)}\n" for n, order in enumerate(model.orders, 1))
        file.write(f"\\data\\\n{counts}".encode())
        texts = words
        for n, order in enumerate(model.orders, 1):
            if n > 1:
                context, last = np.divmod(order.keys, model.words + 1)
                pairs = zip(context.tolist(), last.tolist(), strict=True)
                texts = [f"{texts[before]} {words[word]}" for before, word in pairs]
            p = np.where(np.isfinite(order.log_probability), order.log_probability / _LOG_10, _NEVER)
            rows = zip(p.tolist(), texts, (order.log_backoff / _LOG_10).tolist(), strict=True)
            longest = n == len(model.orders)
            file.write(f"\n\\{n}-grams:\n".encode())
            made = (f"{p!r}\t{text}\n" if longest else f"{p!r}\t{text}\t{b!r}\n" for p, text, b in rows)
            file.write("".join(made).encode())
            done += len(texts)
            yield Progress("writing", done, total, "n-grams")
        file.write(b"\n\\end\\\n")


def read(path: Path, vocabulary: Vocabulary) -> NGram:
    """Read a model of the same tokens.

    Raises:
        InputError: the vocabulary has a ``<s>`` of its own.
        TextError: no ARPA file, or a damaged one; a token that the vocabulary does not have, or one of it that the
            file does not have.
    """
    ids = {word: i for i, word in enumerate(_words(vocabulary))}
    rows = _rows(path)
    counts = _counts(path, rows)
    orders: list[Order] = []
    for n, count in enumerate(counts, 1):
        most = len(ids) * (len(orders[-1].keys) if orders else 1)
        if count > most:
            raise TextError(
                f"{path}: {count:,} {n}-grams, more than there can be of the model's tokens ({most:,}); give an ARPA "
                "file of the same tokens"
            )
        found = _order(path, rows, n, count, ids)
        orders.append(_sorted(path, n, *found, orders, len(vocabulary)))
    there = np.isfinite(orders[0].log_probability)
    missing = [token for token, i in ids.items() if not there[i] and token != _BEGIN]
    if missing:
        raise TextError(f"{path}: the model's token {missing[0]} is not in it; give an ARPA file of the same tokens")
    number, text = next(rows, (0, ""))
    if text != "\\end\\":
        raise TextError(f"{path}:{number}: found {text[:40]!r}, where \\end\\ should stand")
    return NGram(orders, len(vocabulary), vocabulary.line_end)


def _words(vocabulary: Vocabulary) -> list[str]:
    """The tokens by id, and ``<s>``.

    Raises:
        InputError: the vocabulary has a ``<s>`` of its own.
    """
    words = [vocabulary.spell(i) for i in range(len(vocabulary))]
    if _BEGIN in words:
        raise InputError(
            f"the vocabulary has the token {_BEGIN}, which begins each line in an ARPA file; spell it otherwise"
        )
    return [*words, _BEGIN]


def _rows(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    for block in lines(path, "word"):
        for line in block:
            if line.text.strip():
                yield line.number, line.text.rstrip()


def _counts(path: Path, rows: Iterator[tuple[int, str]]) -> list[int]:
    """How many n-grams of each length the header says that there are."""
    if next((text for _, text in rows), None) != "\\data\\":
        raise TextError(f"{files.name(path)}: no ARPA file: it does not begin with \\data\\")
    counts: list[int] = []
    for number, text in rows:
        if text == "\\1-grams:" and counts:
            return counts
        found = _COUNT.fullmatch(text.strip())
        if found is None or int(found[1]) != len(counts) + 1:
            raise TextError(f"{path}:{number}: found {text[:40]!r}; must be ngram {len(counts) + 1}=COUNT")
        counts.append(int(found[2]))
    raise TextError(f"{path}: it ends before \\1-grams:")


def _order(
    path: Path, rows: Iterator[tuple[int, str]], n: int, count: int, ids: dict[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The n-grams of one length as they come: ids (count x n), log p, log b."""
    if n > 1:
        number, text = next(rows, (0, "the end"))
        if text != f"\\{n}-grams:":
            raise TextError(f"{path}:{number}: found {text[:40]!r}, where \\{n}-grams: should stand")
    grams, p, b = np.empty((count, n), np.int64), np.empty(count), np.zeros(count)
    for i in range(count):
        number, text = next(rows, (0, "the end"))
        fields = text.split()
        try:
            p[i], grams[i] = float(fields[0]), [ids[word] for word in fields[1 : n + 1]]
            if len(fields) == n + 2:
                b[i] = float(fields[-1])
            elif len(fields) != n + 1:
                raise ValueError
        except KeyError as error:
            found = f"{error.args[0]} is no token of the model"
            raise TextError(f"{path}:{number}: {found}; give an ARPA file of the same tokens") from None
        except (ValueError, IndexError):
            wanted = f"a logarithm, {n} tokens and perhaps another logarithm"
            raise TextError(f"{path}:{number}: found {text[:40]!r}; must be {wanted}") from None
    if not (np.isfinite(p).all() and np.isfinite(b).all() and (p <= 1e-6).all()):
        raise TextError(f"{path}: a log-probability of the {n}-grams is above 0 or no number")
    return grams, p * _LOG_10, b * _LOG_10


def _sorted(
    path: Path, n: int, grams: NDArray[np.int64], p: NDArray[np.float64], b: NDArray[np.float64],
    shorter: list[Order], words: int,
) -> Order:  # fmt: skip
    if n == 1:
        keys = np.arange(words + 1)
        log_p, log_b = np.full(words + 1, -np.inf), np.zeros(words + 1)
        log_p[grams[:, 0]], log_b[grams[:, 0]] = p, b
        log_p[words] = -np.inf
        return Order(keys, log_p, log_b)
    context = grams[:, 0]
    for length in range(2, n):
        context = find(shorter[length - 1].keys, context, grams[:, length - 1], words)
    if (context < 0).any():
        raise TextError(f"{path}: the first {n - 1} tokens of one of the {n}-grams are no {n - 1}-gram of it")
    keys = context * (words + 1) + grams[:, -1]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    if (keys[1:] == keys[:-1]).any():
        raise TextError(f"{path}: one of the {n}-grams is there twice")
    return Order(keys, p[order], b[order])
