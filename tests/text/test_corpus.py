"""Windows of any text, batch and size; the cache; progress."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import build, encode

from rnnlm.errors import TextError
from rnnlm.text import corpus, files
from rnnlm.text.corpus import Corpus, equal_streams, line_streams
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress

WORDS = Vocabulary(["a", "b", "<unk>", "</s>"], [1] * 4, "word", False)
A_B_UNK_END_STRANGE = st.lists(st.sampled_from(["a", "b", "<unk>", "</s>", "strange"]), min_size=1, max_size=60)


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
            real = found.real[:, b]
            assert not (np.diff(real.astype(int)) > 0).any(), "a stream that has ended does not begin again"
            pairs += list(zip(found.inputs[real, b].tolist(), found.targets[real, b].tolist(), strict=True))
            ends = found.inputs[real, b] == WORDS.line_end
            np.testing.assert_array_equal(found.reset[real, b], ends if state == "reset" else ends & False)
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
    assert all(found.real.all() for found in windows)
    kept = plain(tokens)[: len(tokens) // batch * batch]
    assert targets.T.ravel().tolist() == kept, "fewer than batch tokens are left over"
    assert inputs.T.ravel().tolist() == [WORDS.line_end, *kept[:-1]]


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_progress_rises_to_the_size_of_the_file(tmp_path: Path, unit: str, packed: bool) -> None:
    path = tmp_path / "text"
    content = "".join(f"line {i}\n" for i in range(200_000)).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    words = build(path, unit)
    records = list(corpus.encode(path, words, tmp_path))
    assert all(isinstance(record, Progress) and record.total == files.size(path) for record in records)
    done = [record.done for record in records]
    assert done == sorted(done)
    assert done[-1] == files.size(path)


@pytest.mark.parametrize("json", ["", "[]", "null", "{}", '{"tokens": "6"}', "\xff"])
def test_a_cache_that_is_not_ours_is_made_again(tmp_path: Path, json: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a b\nc\n")
    words = build(path, "word")
    wanted = encode(path, words)
    (found,) = (tmp_path / "cache").glob("*.json")
    found.write_bytes(json.encode("latin-1"))
    again: Corpus = encode(path, words)
    assert again.ids(0, 5).tolist() == wanted.ids(0, 5).tolist()
    assert again.counts == wanted.counts
