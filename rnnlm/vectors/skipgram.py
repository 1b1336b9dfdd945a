"""Word vectors by skip-gram with negative sampling (Mikolov et al. 2013).

The paper is "Distributed representations of words and phrases and their compositionality". For a word w and
each word c within its window, with v_w the row of w in the table and u_c that of c in a second one:

    J(w, c)  = - log s(v_w . u_c) - sum_{i=1..k} log s(- v_w . u_{n_i})        equation 4; s is the sigmoid
    n_i      ~ P(n) = count(n)^0.75 / sum                    noise over the whole vocabulary; n_i = c is left out
    keep(w)  = min(1, sqrt(t / f(w))), f = count / sum       equation 5: frequent words are thinned out first
    window   1 to L = `window` words on each side, drawn anew for each w
    rate     from 0.025 to 0, linearly over all passes

t is 1e-4, or 1 / |V| where that is more: a word of average frequency is not a frequent word, and among
few words (characters) 1e-4 would throw nearly all of the text away. Every token is a word: <unk>, and
the line end, which is the last word of its line. Windows cross no line end. At the start v is uniform
within +-0.5 / d and u is zero; v is what is returned.

All cores, one result. A round takes some ten thousand tokens, whole lines unless these are longer, and
turns them into single examples (w, c or n_i). The words are dealt into 16 parts, and each example
belongs to the block (part of its w, part of its c or n_i). In each of 16 turns the 16 blocks (p, p +
turn) are trained at the same time: they share no row of either table, so there is nothing to race for.
Parts, blocks and random numbers do not depend on the number of threads, and so neither does any bit of
the table. Against a plain pass two things differ: the order of the examples within a round, and that v_w
moves after each example and not once for c and its noise together.

    v, u        |V| x d
    examples    w: id of v's row; target: id of u's row for a context, ~id for noise
    starts      where each block's examples begin, 16 * 16 + 1 of them
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.embedding import Embedding, Skipgram
from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.barrier import wait
from rnnlm.kernels.parallel.thread_pool import parallel, threads_to_use
from rnnlm.kernels.random import GAMMA, splitmix64
from rnnlm.vectors.counting import line_blocks, line_numbers, longest_line, token_counts
from rnnlm.vectors.protocols import Corpus, Vocabulary
from rnnlm.work import Progress, Task

RATE = 0.025
NOISE_POWER = 0.75
THINNING = 1e-4  # t

_PARTS = 16


class Text(NamedTuple):
    """The words of a block: their ids, and the number of each word's line, which never falls. A round makes the
    examples (w, ...) of the words w from `start` to `stop`."""

    words: NDArray[np.int32]
    line: NDArray[np.int64]
    start: int
    stop: int


class Sampler(NamedTuple):
    """How examples are drawn. window, negative: L and k; probability, alias: the noise (`alias_table`); part: the
    part of each word of the vocabulary, `parts` of them; seed: the round's."""

    window: int
    negative: int
    probability: NDArray[np.float32]
    alias: NDArray[np.int32]
    part: NDArray[np.int32]
    parts: int
    seed: np.uint64


class Places(NamedTuple):
    """Where examples go. slots: a row a thread; how many examples each block has so far or, when they are written to
    `w` and `target`, the place of its next one."""

    slots: NDArray[np.int64]
    w: NDArray[np.int32]
    target: NDArray[np.int32]


_ROUND_EXAMPLES = 1 << 20  # about as many examples a round: 8 MB


def make(
    corpus: Corpus, vocabulary: Vocabulary, settings: Embedding, seed: int, threads: int | str
) -> Task[np.ndarray]:
    """The table v, float32, |V| x d. The same for any number of `threads`."""
    own = settings.init
    assert isinstance(own, Skipgram)
    threads = threads_to_use(threads)
    words, d = len(vocabulary), settings.size
    rng = np.random.default_rng(seed)
    v = (rng.random((words, d), dtype=np.float32) - np.float32(0.5)) / np.float32(d)
    u = np.zeros((words, d), np.float32)

    counts = token_counts(corpus, words)
    frequency = counts / max(1, counts.sum())
    threshold = max(THINNING, 1 / words)
    keep = np.sqrt(threshold / np.maximum(frequency, threshold))
    probability, alias = alias_table(counts**NOISE_POWER)
    part = deal_words(counts, min(_PARTS, words))

    total = own.epochs * len(corpus)
    # A window reaches no further than its line; random numbers have 32 bits.
    window = min(own.window, 2**31 - 1)
    contexts = min(window, longest_line(corpus, vocabulary.line_end)) + 1
    tokens_a_round = max(1, _ROUND_EXAMPLES // (contexts * (own.negative + 1)))
    done = 0
    for _ in range(own.epochs):
        for start, stop in line_blocks(corpus, vocabulary.line_end, tokens_a_round):
            ids = corpus.ids(start, stop)
            line = line_numbers(ids, vocabulary.line_end)
            kept = rng.random(len(ids)) < keep[ids]
            round_seed = rng.integers(2**64, dtype=np.uint64)
            words_here, line = np.ascontiguousarray(ids[kept], np.int32), line[kept]
            parts = int(part.max()) + 1
            sampler = Sampler(window, own.negative, probability, alias, part, parts, round_seed)
            for first, last in _rounds(line, contexts, own.negative):
                examples = make_examples(Text(words_here, line, first, last), sampler, threads)
                train(threads, v, u, *examples, np.float32(RATE * (1 - done / total)))
                passed = done + (stop - start) * last // max(1, len(line))
                yield Progress("skip-gram", passed, total, "tokens")
            done += stop - start
    return v


def _rounds(line: NDArray[np.int64], contexts: int, negative: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of the words of each round of a block: all of them, or as many as make about 2^21 examples."""
    here = np.bincount(line)[line] if line.size else line
    examples = np.cumsum(np.minimum(here, contexts) * (negative + 1.0))
    cuts = np.flatnonzero(np.diff(examples // (2 * _ROUND_EXAMPLES))) + 1
    yield from itertools.pairwise([0, *map(int, cuts), len(line)])


def deal_words(counts: np.ndarray, parts: int) -> np.ndarray:
    """The part of each word, int32: by falling count, to and fro over the parts, so that all are as large."""
    part = np.empty(len(counts), np.int32)
    turn = np.arange(len(counts)) % (2 * parts)
    part[np.argsort(-counts, kind="stable")] = np.minimum(turn, 2 * parts - 1 - turn)
    return part


def alias_table(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw from a discrete distribution in constant time (Walker 1977, in the form of Vose 1991).

    Returns (probability float32, alias int32): draw a slot i evenly; the outcome is i with probability[i],
    else alias[i].
    """
    n = len(weights)
    total = weights.sum()
    share = (weights * (n / total) if total > 0 else np.ones(n)).tolist()
    probability, alias = np.ones(n, np.float32), np.arange(n, dtype=np.int32)
    small = [i for i in range(n) if share[i] < 1]
    large = [i for i in range(n) if share[i] >= 1]
    while small and large:
        less, more = small.pop(), large[-1]
        probability[less], alias[less] = share[less], more
        share[more] -= 1 - share[less]
        if share[more] < 1:
            small.append(large.pop())
    # Rounding may leave slots that should be exactly full. None of them may be a word that never occurs.
    for i in small:
        if weights[i] == 0 and total > 0:
            probability[i], alias[i] = 0, int(np.argmax(weights))
    return probability, alias


def make_examples(text: Text, sampler: Sampler, threads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All examples of a round by block, within a block in the order of the text: (w, target, starts)."""
    count = sampler.parts * sampler.parts
    slots = np.zeros((threads, count), np.int64)
    nothing = np.empty(0, np.int32)
    _walk(threads, text, sampler, Places(slots, nothing, nothing), False)
    # Block after block, and in each block shard after shard: the order does not depend on the number of threads.
    ends = np.cumsum(slots.T).reshape(count, threads)
    total = int(ends[-1, -1])
    starts = np.concatenate([[0], ends[:, -1]])
    w, target = np.empty(total, np.int32), np.empty(total, np.int32)
    _walk(threads, text, sampler, Places(np.ascontiguousarray(ends.T - slots), w, target), True)
    return w, target, starts


@parallel
def _walk(thread, text, sampler, places, fill):
    """Make the examples of each thread's part of the words; count them by block or, with `fill`, write them.

    Each word's random numbers come from its place alone, so that counting and filling see the same ones.
    """
    words, line = text.words, text.line
    slots = places.slots[thread.number]
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    slot_count = np.uint64(len(sampler.probability))
    n = text.stop - text.start
    low_end, high_end = n * thread.number // thread.threads, n * (thread.number + 1) // thread.threads
    for i in range(text.start + low_end, text.start + high_end):
        state = splitmix64(sampler.seed + np.uint64(i) * GAMMA)
        reach = 1 + np.int64(((splitmix64(state) >> half) * np.uint64(sampler.window)) >> half)
        first = i
        while first > 0 and i - first < reach and line[first - 1] == line[i]:
            first -= 1
        for j in range(first, len(words)):
            if j - i > reach or line[j] != line[i]:
                break
            if j == i:
                continue
            context = words[j]
            _put(sampler, places, slots, words[i], context, context, fill)
            for _ in range(sampler.negative):
                state += GAMMA
                bits = splitmix64(state)
                noise = np.int32(((bits >> half) * slot_count) >> half)
                if np.float32(bits & low) >= sampler.probability[noise] * np.float32(4294967296.0):
                    noise = sampler.alias[noise]
                if noise != context:
                    _put(sampler, places, slots, words[i], ~noise, noise, fill)


@jit
def _put(sampler, places, slots, w, target, row, fill):
    """Give the example its place in its block; `row` is the target's row, `slots` the thread's own."""
    block = sampler.part[w] * sampler.parts + sampler.part[row]
    if fill:
        places.w[slots[block]] = w
        places.target[slots[block]] = target
    slots[block] += 1


@jit
def learn(v_w, u, context, rate):
    """One step down the loss of one example, in place: - log s(v_w . u) for a context, - log s(- v_w . u)
    for noise.

    v_w, u: rows of d numbers. dJ/dv_w = (s(v_w . u) - y) u and dJ/du = (s(v_w . u) - y) v_w; y is 1 for a
    context and 0 for noise.
    """
    one = v_w.dtype.type(1)
    score = v_w.dtype.type(0)
    for k in range(len(v_w)):
        score += v_w[k] * u[k]
    y = one if context else v_w.dtype.type(0)
    step = rate * (y - one / (one + math.exp(-score)))
    for k in range(len(v_w)):
        before = v_w[k]
        v_w[k] += step * u[k]
        u[k] += step * before


@parallel
def train(thread, v, u, ws, targets, starts, rate):
    """Learn from all examples of a round. In each turn, block (p, p + turn) of each p: no two of them share a row."""
    parts = round(math.sqrt(len(starts) - 1))
    for turn in range(parts):
        for p in range(thread.number, parts, thread.threads):
            block = p * parts + (p + turn) % parts
            for i in range(starts[block], starts[block + 1]):
                target = targets[i]
                if target >= 0:
                    learn(v[ws[i]], u[target], True, rate)
                else:
                    learn(v[ws[i]], u[~target], False, rate)
        wait(thread)
