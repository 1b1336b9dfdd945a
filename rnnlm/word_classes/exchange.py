"""Exchange clustering by class bigrams (Martin, Liermann & Ney 1998, section 2; Kneser & Ney 1993).

Each token w belongs to one class g(w). With N(g, h) how often a token of class h follows one of class g, the class
bigram model p(w | v) = p(g(w) | g(v)) p(w | g(w)) by relative frequencies has the log likelihood

    LL = sum_gh N(g,h) log N(g,h) - sum_g N(g,.) log N(g,.) - sum_h N(.,h) log N(.,h) + sum_w N(w) log N(w)

of the text. A pass goes through the tokens by falling count, and moves each to the class that makes LL largest. It
ends when a pass moves none. Only the counts of the classes with which a token stands together change by a move, so a
pass takes about |V| C times their mean number. A class is never left empty.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.kernels.jit import jit
from rnnlm.text.corpus import Corpus
from rnnlm.work import Note, Progress, Task

_BLOCK = 1 << 22  # tokens that are counted at once
# What a move must gain in nats, so that rounding moves nothing to and fro.
_GAIN = 1e-6


class _Neighbours(NamedTuple):
    """The tokens that stand after (or before) each token: those of token w from starts[w] on."""

    starts: NDArray[np.int64]  # |V| + 1
    tokens: NDArray[np.int32]
    counts: NDArray[np.int64]


class _Counts(NamedTuple):
    """Counts of classes."""

    both: NDArray[np.int64]  # C x C, N(g, h)
    turned: NDArray[np.int64]  # C x C, N(h, g): a class's row has the counts before it
    left: NDArray[np.int64]  # C, N(g, .)
    right: NDArray[np.int64]  # C, N(., h)


class _Own(NamedTuple):
    """Counts of one token with the classes beside it."""

    after: NDArray[np.int64]  # C, how often one of each class follows it
    before: NDArray[np.int64]  # C, how often it follows one of each class


def cluster(corpus: Corpus, start: NDArray[np.int32], passes: int) -> Task[NDArray[np.int32]]:
    """The class of each token (|V|) after exchanges from `start` on. Yields Progress, and a Note with the perplexity
    of the class bigram model on the text, before and after."""
    began, V, classes = time.monotonic(), len(start), int(start.max()) + 1
    after, before = yield from _neighbours(corpus, V)
    own, sizes = start.copy(), np.bincount(start, minlength=classes)
    counts = _counts(after, own, classes)
    order = np.argsort(-np.diff(_sums(after)), kind="stable").astype(np.int32)
    perplexities = [_perplexity(counts, after)]
    for done in range(passes):
        yield Progress("classes", done, passes, "passes")
        moved = _exchange(order, own, sizes, counts, after, before)
        perplexities.append(_perplexity(counts, after))
        if moved == 0:
            break
    yield Note(
        f"{classes:,} classes by exchange: perplexity {perplexities[-1]:.2f} of the class bigrams, "
        f"{perplexities[0]:.2f} by frequency; {len(perplexities) - 1} passes, {time.monotonic() - began:.1f} s"
    )
    return own


def _neighbours(corpus: Corpus, V: int) -> Task[tuple[_Neighbours, _Neighbours]]:
    """What stands after each token and before it."""
    pairs, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for first in range(0, max(1, len(corpus) - 1), _BLOCK):
        yield Progress("bigrams", first, len(corpus), "tokens")
        ids = corpus.ids(first, min(len(corpus), first + _BLOCK + 1)).astype(np.int64)
        found, own = np.unique(ids[:-1] * V + ids[1:], return_counts=True)
        pairs, place = np.unique(np.concatenate([pairs, found]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts, own]), len(pairs)).astype(np.int64)
    v, w = pairs // V, pairs % V
    turned = np.argsort(w, kind="stable")
    return _by_first(v, w, counts, V), _by_first(w[turned], v[turned], counts[turned], V)


def _by_first(first: NDArray[np.int64], second: NDArray[np.int64], counts: NDArray[np.int64], V: int) -> _Neighbours:
    return _Neighbours(np.searchsorted(first, np.arange(V + 1)), second.astype(np.int32), counts)


def _sums(neighbours: _Neighbours) -> NDArray[np.int64]:
    """Cumulated counts of tokens, V + 1."""
    return np.append(0, neighbours.counts.cumsum())[neighbours.starts]


def _counts(after: _Neighbours, own: NDArray[np.int32], classes: int) -> _Counts:
    first = np.repeat(own, np.diff(after.starts)).astype(np.int64)
    flat = np.bincount(first * classes + own[after.tokens], after.counts, classes**2)
    both = flat.astype(np.int64).reshape(classes, classes)
    return _Counts(both, both.T.copy(), both.sum(axis=1), both.sum(axis=0))


def _perplexity(counts: _Counts, after: _Neighbours) -> float:
    """Of the class bigram model, on the text that it was counted on."""
    tokens = np.bincount(after.tokens, after.counts)
    log_likelihood = _xlogx(counts.both) - _xlogx(counts.left) - _xlogx(counts.right) + _xlogx(tokens)
    return float(np.exp(-log_likelihood / max(1.0, tokens.sum())))


def _xlogx(x: NDArray[Any]) -> float:
    own = x[x > 0].astype(np.float64)
    return float((own * np.log(own)).sum())


@jit
def _f(n):
    """n log n."""
    return n * np.log(np.float64(n)) if n > 0 else 0.0


@jit
def _exchange(order, own, sizes, counts, after, before):
    """One pass over the tokens in `order`; own (|V|), sizes (C) and counts are changed. Returns how many moved."""
    classes, moved = sizes.size, 0
    beside = _Own(np.zeros(classes, np.int64), np.zeros(classes, np.int64))
    seen_after, seen_before = np.empty(classes, np.int64), np.empty(classes, np.int64)
    for w in order:
        old = own[w]
        if sizes[old] == 1:
            continue
        itself, n_after = _gather(w, after, own, beside.after, seen_after)
        _, n_before = _gather(w, before, own, beside.before, seen_before)
        after_w, before_w = seen_after[:n_after], seen_before[:n_before]
        left, right = itself, itself
        for g in after_w:
            left += beside.after[g]
        for g in before_w:
            right += beside.before[g]
        _move(counts, old, beside, after_w, before_w, itself, left, right, -1)
        best, most = old, _gain(counts, old, beside, after_w, before_w, itself, left, right) + _GAIN
        for k in range(classes):
            gain = _gain(counts, k, beside, after_w, before_w, itself, left, right)
            if gain > most:
                best, most = k, gain
        _move(counts, best, beside, after_w, before_w, itself, left, right, 1)
        if best != old:
            own[w] = best
            sizes[old] -= 1
            sizes[best] += 1
            moved += 1
        beside.after[:] = 0
        beside.before[:] = 0
    return moved


@jit
def _gather(w, neighbours, own, counts, seen):
    """Adds a token's counts with the classes beside it to `counts` (C), those with itself apart; writes which classes
    to `seen`. Returns the count with itself, and the number of classes."""
    itself, n = 0, 0
    for i in range(neighbours.starts[w], neighbours.starts[w + 1]):
        v = neighbours.tokens[i]
        if v == w:
            itself = neighbours.counts[i]
            continue
        g = own[v]
        if counts[g] == 0:
            seen[n] = g
            n += 1
        counts[g] += neighbours.counts[i]
    return itself, n


@jit
def _move(counts, k, beside, after_w, before_w, itself, left, right, sign):
    """Adds a token to class k, or with `sign` -1 takes it out."""
    for g in after_w:
        counts.both[k, g] += sign * beside.after[g]
        counts.turned[g, k] += sign * beside.after[g]
    for g in before_w:
        counts.both[g, k] += sign * beside.before[g]
        counts.turned[k, g] += sign * beside.before[g]
    counts.both[k, k] += sign * itself
    counts.turned[k, k] += sign * itself
    counts.left[k] += sign * left
    counts.right[k] += sign * right


@jit
def _gain(counts, k, beside, after_w, before_w, itself, left, right):
    """By how much LL rises when a token that is in no class comes to class k."""
    gain = _f(counts.left[k]) - _f(counts.left[k] + left) + _f(counts.right[k]) - _f(counts.right[k] + right)
    both, turned = counts.both[k], counts.turned[k]
    for g in after_w:
        if g != k:
            gain += _f(both[g] + beside.after[g]) - _f(both[g])
    for g in before_w:
        if g != k:
            gain += _f(turned[g] + beside.before[g]) - _f(turned[g])
    own = both[k]
    return gain + _f(own + beside.after[k] + beside.before[k] + itself) - _f(own)
