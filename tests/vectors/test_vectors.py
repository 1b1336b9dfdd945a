"""The registry, the scale, and what all tables have in common."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from fake_text import settings, words_of
from records import run

from rnnlm import vectors
from rnnlm.config.base import sections
from rnnlm.config.embedding import Embedding

TEXT = "the cat sat\na dog ran\nthe dog sat on a mat\n" * 20


def test_registry_has_every_init_of_the_config() -> None:
    assert list(vectors.INITS) == list(sections(Embedding, "init").types)
    for module in vectors.INITS.values():
        assert callable(import_module(module).make)


def test_importing_the_registry_is_cheap() -> None:
    code = "import sys, rnnlm.vectors; print([name for name in ('numba', 'scipy', 'gensim') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("init", ["uniform", "normal", "svd", "skipgram", "file"])
@pytest.mark.parametrize("scale", [0.1, 0.3, None])
def test_every_table_has_its_shape_and_scale(init: str, scale: float | None, tmp_path: Path) -> None:
    corpus, vocabulary = words_of(TEXT)
    others = {}
    if init == "file":
        rows = "".join(f"{word} {i} {2 * i} 1 {-i}\n" for i, word in enumerate(["the", "cat", "dog", "a"]))
        (tmp_path / "v.txt").write_text(rows)
        others["path"] = str(tmp_path / "v.txt")
    asked = settings(init, 4, scale=scale, **others)
    table, _ = run(vectors.make(corpus, vocabulary, asked, 1, 1))
    again, _ = run(vectors.make(corpus, vocabulary, asked, 1, 1))
    assert table.shape == (len(vocabulary), 4)
    assert table.dtype == np.float32
    assert table.flags.c_contiguous
    assert table.flags.writeable
    assert table.tobytes() == again.tobytes()
    if init in ("uniform", "normal"):
        assert table.std() == pytest.approx(scale or 0.1, rel=0.35)
    elif scale is not None:
        assert table.std(dtype=np.float64) == pytest.approx(scale, rel=1e-5)
    if init != "file":
        other, _ = run(vectors.make(corpus, vocabulary, asked, 2, 1))
        assert (other == table).all() == (init == "svd")


def test_without_a_scale_the_numbers_of_a_file_stay(tmp_path: Path) -> None:
    corpus, vocabulary = words_of("a b\n")
    (tmp_path / "v.txt").write_text("a 3 4\nb 5 7\n")
    asked = settings("file", 2, scale=None, path=str(tmp_path / "v.txt"))
    table, _ = run(vectors.make(corpus, vocabulary, asked, 1, 1))
    assert table[vocabulary.tokens.index("b")].tolist() == [5, 7]


def test_rescale_keeps_directions_and_leaves_a_constant_table() -> None:
    table = np.array([[1, 2], [3, 6]], np.float32)
    vectors.rescale(table, 0.5)
    assert table.std() == pytest.approx(0.5)
    np.testing.assert_allclose(table[:, 1], 2 * table[:, 0], rtol=1e-6)
    constant = np.full((2, 2), 3, np.float32)
    vectors.rescale(constant, 0.5)
    assert (constant == 3).all()
