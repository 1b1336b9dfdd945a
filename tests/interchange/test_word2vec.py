"""Trained vectors in word2vec's format: what is written is the embedding table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlm
from rnnlm.vectors import pretrained
from rnnlm.work import run_to_end


@pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.bin", "v"])
@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_vectors_come_back_bit_by_bit(
    runs: dict[str, Path], tmp_path: Path, call: Any, unit: str, name: str
) -> None:
    model = rnnlm.load(runs[unit])
    path = tmp_path / name
    to = [] if path.suffix else ["--to", "word2vec"]
    status, out, err = call("export", runs[unit], "-o", path, *to)
    assert (status, err) == (0, "")
    assert f"{len(model.vocabulary)} vectors of 8 numbers" in out
    table, match = run_to_end(pretrained.read(path, model.vocabulary, 8))
    assert (match >= pretrained.EXACT).all()
    np.testing.assert_array_equal(table, model.parameters["embedding.table"])
    begins = path.read_bytes().split(b"\n", 1)[1]
    first = model.vocabulary.spell(0).encode() + b" "
    row = model.parameters["embedding.table"][0]
    numbers = row.tobytes() if name.endswith(".bin") else f"{row[0]:.9g} ".encode()
    assert begins.startswith(first + numbers)


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_them(runs: dict[str, Path], tmp_path: Path, call: Any, binary: bool) -> None:
    keyed = pytest.importorskip("gensim.models").KeyedVectors
    path = tmp_path / ("v.bin" if binary else "v.txt")
    call("export", runs["word"], "-o", path)
    found = keyed.load_word2vec_format(path, binary=binary)
    model = rnnlm.load(runs["word"])
    assert tuple(found.index_to_key) == model.vocabulary.tokens
    np.testing.assert_array_equal(found.vectors, model.parameters["embedding.table"])


def test_a_name_of_another_kind_of_file(runs: dict[str, Path], tmp_path: Path, call: Any) -> None:
    status, out, err = call("export", runs["word"], "--to", "word2vec", "-o", tmp_path / "v.onnx")
    assert (status, out) == (2, "")
    assert "is written; name it NAME.txt or NAME.vec or NAME.bin" in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
