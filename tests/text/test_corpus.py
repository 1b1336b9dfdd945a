"""Encoded texts: their cache, the size of their ids, progress and memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reading import build, encode

from rnnlm.text import corpus, files
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Progress


def test_an_encoded_text_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a b c\n" * 10)
    words = build(path, "word")
    first = encode(path, words)
    (ids,) = (tmp_path / "cache").glob("*.ids")
    file = ids.stat().st_ino
    again = encode(path, words)
    assert ids.stat().st_ino == file, "written anew"
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


@pytest.mark.parametrize("damage", ["beyond the vocabulary", "another word", "another count", "no checksum"])
@pytest.mark.parametrize("unit", ["word", "byte"])
def test_ids_that_are_not_those_that_were_written(tmp_path: Path, unit: str, damage: str) -> None:
    """Kernels trust ids: one beyond the vocabulary is read beyond the table's end."""
    path = tmp_path / "text.txt"
    path.write_text("a b c\n" * 10)
    words = build(path, unit)
    first = encode(path, words)
    wanted = first.ids(0, len(first)).tolist()
    (ids,), (json,) = (tmp_path / "cache").glob("*.ids"), (tmp_path / "cache").glob("*.json")
    stored = np.frombuffer(ids.read_bytes(), np.uint16).copy()
    if damage == "beyond the vocabulary":
        stored[3] = len(words) + 1 if unit == "word" else len(words)
    elif damage == "another word":
        stored[3] = stored[5]
    ids.write_bytes(stored.tobytes())
    if damage == "another count":
        json.write_text(json.read_text().replace('"characters": 60', '"characters": 61'))
    elif damage == "no checksum":
        json.write_text(f'{{"tokens": {len(stored)}, "unknown": 0, "line_ends": 10, "characters": 60}}')
    again = encode(path, words)
    assert again.ids(0, len(again)).tolist() == wanted
    assert again.counts == first.counts


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
    assert (text.stored == size).tolist() == [False, False, True, False]
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
