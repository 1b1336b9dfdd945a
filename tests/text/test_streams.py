"""How training and scoring walk an encoded text: against a plain version, and for any text, batch and window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlm.errors import TextError
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import ShuffledLines, Streams, equal_streams, line_streams, resets
from rnnlm.text.vocabulary import Vocabulary

WORDS = Vocabulary(["a", "b", "c", "<unk>", "</s>"], [1] * 5, "word", False)
A_B_UNK_END_STRANGE = st.lists(st.sampled_from(["a", "b", "<unk>", "</s>", "strange"]), min_size=1, max_size=60)


def random_corpus(tokens: int, seed: int) -> Corpus:
    generator = np.random.default_rng(seed)
    return corpus.from_tokens([[*WORDS.tokens, "x"][i] for i in generator.integers(0, 6, tokens)], 1, WORDS, "text")


def plain_window(streams: Streams, start: int, stop: int, state: str) -> list[list[tuple[int, int, bool, bool]]]:
    """For each step and stream: input, target, reset, valid."""
    text = streams.corpus.ids(0, len(streams.corpus)).tolist()
    rows = []
    for t in range(start, stop):
        row = []
        for first, end in zip(streams.starts.tolist(), streams.stops.tolist(), strict=True):
            place = first + t
            valid = place < end
            target = text[place] if valid else None
            before = (WORDS.line_end if place == 0 else text[place - 1]) if valid else None
            row.append((before, target, valid and state == "reset" and before == WORDS.line_end, valid))
        rows.append(row)
    return rows


@pytest.mark.parametrize("state", ["carry", "reset"])
@pytest.mark.parametrize(
    ("tokens", "batch", "window"), [(1, 1, 1), (50, 1, 7), (53, 4, 5), (200, 32, 3), (77, 7, 100)]
)
@pytest.mark.parametrize("kind", ["training", "scoring"])
def test_windows(state: str, tokens: int, batch: int, window: int, kind: str) -> None:
    text = random_corpus(tokens, tokens)
    streams = (equal_streams if kind == "training" else line_streams)(text, batch, state)
    seen: list[int] = []
    for start in range(0, streams.length, window):
        stop = min(start + window, streams.length)
        found = streams.window(start, stop)
        for t, row in enumerate(plain_window(streams, start, stop, state)):
            for b, (before, target, reset, valid) in enumerate(row):
                assert found.valid[t, b] == valid
                if valid:
                    seen.append(int(streams.starts[b]) + start + t)
                    assert (found.inputs[t, b], found.targets[t, b]) == (before, target)
                    assert found.reset[t, b] == reset
    if kind == "scoring":
        assert sorted(seen) == list(range(tokens)), "every token once"
    else:
        assert sorted(seen) == list(range(tokens // batch * batch))
        assert streams.batch == batch


def test_scoring_streams_begin_where_lines_begin() -> None:
    text = random_corpus(300, 3)
    streams = line_streams(text, 8, "reset")
    assert 1 < streams.batch <= 8
    ids = text.ids(0, 300)
    assert all(start == 0 or ids[start - 1] == WORDS.line_end for start in streams.starts.tolist())
    assert line_streams(text, 8, "carry").batch == 1


def test_a_text_with_fewer_tokens_than_streams() -> None:
    with pytest.raises(TextError, match=r"3 tokens, fewer than train.batch \(4\)"):
        equal_streams(random_corpus(3, 0), 4, "carry")


def plain(tokens: list[str]) -> list[int]:
    return [WORDS.tokens.index(token) if token in WORDS.tokens else WORDS.unk for token in tokens]


@settings(max_examples=150, deadline=None)
@given(A_B_UNK_END_STRANGE, st.integers(1, 9), st.integers(1, 20), st.sampled_from(["carry", "reset"]))
def test_scoring_meets_every_token_once_after_the_one_before_it(
    tokens: list[str], batch: int, window: int, state: str
) -> None:
    ids = plain(tokens)
    streams = line_streams(corpus.from_tokens(tokens, 1, WORDS, "text"), batch, state)
    pairs = []
    for b in range(streams.batch):
        for start in range(0, streams.length, window):
            found = streams.window(start, min(start + window, streams.length))
            valid = found.valid[:, b]
            assert not (np.diff(valid.astype(int)) > 0).any(), "a stream that has ended does not begin again"
            pairs += list(zip(found.inputs[valid, b].tolist(), found.targets[valid, b].tolist(), strict=True))
            ends = found.inputs[valid, b] == WORDS.line_end
            np.testing.assert_array_equal(found.reset[valid, b], ends if state == "reset" else ends & False)
    assert pairs == list(zip([WORDS.line_end, *ids[:-1]], ids, strict=True))


@settings(max_examples=100, deadline=None)
@given(A_B_UNK_END_STRANGE, st.integers(1, 9), st.integers(1, 20))
def test_training_streams_are_equal_stretches_in_order(tokens: list[str], batch: int, window: int) -> None:
    text = corpus.from_tokens(tokens, 1, WORDS, "text")
    if len(tokens) < batch:
        with pytest.raises(TextError, match="fewer than train.batch"):
            equal_streams(text, batch, "carry")
        return
    streams = equal_streams(text, batch, "carry")
    windows = [
        streams.window(start, min(start + window, streams.length)) for start in range(0, streams.length, window)
    ]
    targets = np.concatenate([found.targets for found in windows])
    inputs = np.concatenate([found.inputs for found in windows])
    assert all(found.valid.all() for found in windows)
    kept = plain(tokens)[: len(tokens) // batch * batch]
    assert targets.T.ravel().tolist() == kept, "fewer than batch tokens are left over"
    assert inputs.T.ravel().tolist() == [WORDS.line_end, *kept[:-1]]


def shuffled_tokens(tokens: list[int], order: list[int]) -> list[int]:
    """The lines of a text in this order, and what follows the last line end."""
    lines: list[list[int]] = [[]]
    for token in tokens:
        lines[-1].append(token)
        if token == WORDS.line_end:
            lines.append([])
    return [token for i in order for token in lines[i]] + lines[-1]


@settings(max_examples=100, deadline=None)
@given(A_B_UNK_END_STRANGE, st.integers(1, 6), st.integers(1, 20), st.integers(0, 3))
def test_shuffled_lines(tokens: list[str], batch: int, window: int, epoch: int) -> None:
    """Each epoch's lines are those of the text in an order that depends on the seed and the epoch alone."""
    text = corpus.from_tokens(tokens, 1, WORDS, "text")
    batch = min(batch, len(tokens))
    streams = equal_streams(text, batch, "reset", ShuffledLines(text, 7))
    for other in (3, epoch):  # whatever came before
        streams.begin_epoch(other)
    windows = [streams.window(at, min(at + window, streams.length)) for at in range(0, streams.length, window)]
    targets = np.concatenate([found.targets for found in windows]).T.ravel().tolist()
    inputs = np.concatenate([found.inputs for found in windows]).T.ravel().tolist()
    resets = np.concatenate([found.reset for found in windows]).T.ravel().tolist()
    order = np.random.default_rng([7, 5, epoch]).permutation(tokens.count("</s>")).tolist()
    wanted = shuffled_tokens(plain(tokens), order)
    assert sorted(wanted) == sorted(plain(tokens))
    kept = wanted[: len(tokens) // batch * batch]
    assert targets == kept
    assert inputs == [WORDS.line_end, *kept[:-1]]
    assert resets == [token == WORDS.line_end for token in inputs]


def test_every_epoch_has_another_order_and_every_seed() -> None:
    text = random_corpus(2000, 1)
    orders = [ShuffledLines(text, seed).order(epoch).begins.tolist() for seed in (1, 2) for epoch in (0, 1, 2)]
    assert len({tuple(order) for order in orders}) == 6
    assert all(sorted(order) == sorted(orders[0]) for order in orders)


@settings(max_examples=100, deadline=None)
@given(A_B_UNK_END_STRANGE, st.integers(1, 6), st.integers(1, 5))
def test_documents_begin_after_blank_lines(tokens: list[str], batch: int, window: int) -> None:
    """A text begins as if a line had just ended, so an empty first line is a blank one."""
    text = corpus.from_tokens(tokens, 1, WORDS, "text")
    streams = equal_streams(text, min(batch, len(tokens)), "document")
    before = ["</s>", "</s>", *tokens]
    for b in range(streams.batch):
        for start in range(0, streams.length, window):
            found = streams.window(start, min(start + window, streams.length))
            for t, reset in enumerate(found.reset[:, b].tolist()):
                place = int(streams.starts[b]) + start + t
                assert reset == (before[place] == before[place + 1] == "</s>")


def test_resets_of_a_text_that_is_whole() -> None:
    end, word = WORDS.line_end, 0
    inputs = np.array([end, word, end, end, word, end], np.int32)[:, None]
    assert resets(inputs, end, "carry").ravel().tolist() == [False] * 6
    assert resets(inputs, end, "reset").ravel().tolist() == [True, False, True, True, False, True]
    assert resets(inputs, end, "document").ravel().tolist() == [True, False, False, True, False, False]
