"""How training and scoring walk an encoded text, against a plain version; and the cache of encoded texts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reading import build, encode

from rnnlm.errors import TextError
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus, Streams, equal_streams, line_streams
from rnnlm.text.vocabulary import Vocabulary

WORDS = Vocabulary(["a", "b", "c", "<unk>", "</s>"], [1] * 5, "word", False)


def random_corpus(tokens: int, seed: int) -> Corpus:
    generator = np.random.default_rng(seed)
    return corpus.from_tokens([[*WORDS.tokens, "x"][i] for i in generator.integers(0, 6, tokens)], 1, WORDS, "text")


def plain_window(streams: Streams, start: int, stop: int, state: str) -> list[list[tuple[int, int, bool, bool]]]:
    """For each step and stream: input, target, reset, real."""
    text = streams.corpus.ids(0, len(streams.corpus)).tolist()
    rows = []
    for t in range(start, stop):
        row = []
        for first, end in zip(streams.starts.tolist(), streams.stops.tolist(), strict=True):
            place = first + t
            real = place < end
            target = text[place] if real else None
            before = (WORDS.line_end if place == 0 else text[place - 1]) if real else None
            row.append((before, target, real and state == "reset" and before == WORDS.line_end, real))
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
            for b, (before, target, reset, real) in enumerate(row):
                assert found.real[t, b] == real
                if real:
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


def test_an_encoded_text_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a b c\n" * 10)
    words = build(path, "word")
    first = encode(path, words)
    (ids,) = (tmp_path / "cache").glob("*.ids")
    stamp = ids.stat().st_mtime_ns
    again = encode(path, words)
    assert ids.stat().st_mtime_ns == stamp
    assert again.counts == first.counts
    assert again.key == first.key


@pytest.mark.parametrize("damage", ["short ids", "no ids", "no json", "bad json"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a b c\n" * 10)
    words = build(path, "word")
    wanted = encode(path, words).ids(0, 40).tolist()
    (ids,), (json,) = (tmp_path / "cache").glob("*.ids"), (tmp_path / "cache").glob("*.json")
    if damage == "short ids":
        ids.write_bytes(ids.read_bytes()[:-3])
    elif damage == "no ids":
        ids.unlink()
    elif damage == "no json":
        json.unlink()
    else:
        json.write_text('{"tokens": 40')
    assert encode(path, words).ids(0, 40).tolist() == wanted


def test_another_text_or_vocabulary_is_another_key(tmp_path: Path) -> None:
    path, other = tmp_path / "text.txt", tmp_path / "other.txt"
    path.write_text("a b c\n")
    other.write_text("a b d\n")
    words, fewer = build(path, "word"), build(path, "word", max_size=3)
    keys = {encode(path, words).key, encode(other, words).key, encode(path, fewer).key}
    assert len(keys) == 3


@pytest.mark.parametrize(("size", "dtype"), [(2**16 - 1, np.uint16), (2**16, np.int32)])
def test_ids_are_small_where_they_can_be(size: int, dtype: type) -> None:
    words = Vocabulary([*(str(i) for i in range(size - 2)), "<unk>", "</s>"], [1] * size, "word", False)
    text = corpus.from_tokens(["0", str(size - 3), "strange", "</s>"], 1, words, "text")
    assert text.stored.dtype == dtype
    assert text.is_unknown(0, 4).tolist() == [False, False, True, False]
    assert text.ids(0, 4).tolist() == [0, size - 3, size - 2, size - 1]


MEASURE = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from reading import build, encode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
encode(Path(sys.argv[1]), build(Path(sys.argv[1]), "word"))
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("megabytes", [8, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("lines", [True, False], ids=["lines", "one line"])
def test_encoding_takes_little_memory(tmp_path: Path, megabytes: int, lines: bool) -> None:
    """Far below what the text itself would take as Python strings; 100 MB must stay under 1 GB."""
    generator = np.random.default_rng(0)
    path = tmp_path / "text.txt"
    block = " ".join(f"word{i}" for i in (generator.pareto(1, 130_000) * 10).astype(int)) + ("\n" if lines else " ")
    if lines:
        block = block.replace(" word1 ", " word1\n")
    with path.open("w") as file:
        while file.tell() < megabytes << 20:
            file.write(block)
    command = [sys.executable, "-c", MEASURE, str(path), str(Path(__file__).parents[1] / "support")]
    before, after = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert after - before < 150 * 1024, "kilobytes"
