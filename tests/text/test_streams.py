"""How training and scoring walk an encoded text: against a plain version, and for any text, batch and window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlm.errors import TextError
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import Streams, equal_streams, line_streams
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
