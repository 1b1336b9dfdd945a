"""Counting pairs against a double loop, PPMI and SVD against dense float64."""

from __future__ import annotations

import numpy as np
import pytest
from fake_text import FakeCorpus, FakeVocabulary, settings, words_of
from hypothesis import given
from hypothesis import strategies as st
from records import run

from rnnlm.vectors import svd


def brute_force(ids: list[int], words: int, line_end: int, window: int) -> np.ndarray:
    counts = np.zeros((words, words), np.int64)
    for i, w in enumerate(ids):
        for j, c in enumerate(ids):
            between = ids[min(i, j) : max(i, j)]
            if i != j and abs(i - j) <= window and line_end not in between:
                counts[w, c] += window - abs(i - j) + 1
    return counts


def dense_ppmi(counts: np.ndarray, smoothing: float) -> np.ndarray:
    result = np.zeros(counts.shape)
    n_w, n_c = counts.sum(axis=1), counts.sum(axis=0)
    for w in range(len(counts)):
        for c in range(len(counts)):
            if counts[w, c]:
                P_c = n_c[c] ** smoothing / (n_c**smoothing).sum()
                result[w, c] = max(0, np.log(counts[w, c] / n_w[w] / P_c))
    return result


def zipf_ids(words: int, tokens: int, seed: int) -> np.ndarray:
    return np.minimum(np.random.default_rng(seed).zipf(1.3, tokens) - 1, words - 1).astype(np.int32)


@given(
    ids=st.lists(st.integers(0, 4), max_size=40),
    window=st.integers(1, 8),
    block=st.integers(1, 50),
)
def test_counts_are_those_of_a_double_loop_whatever_the_block(ids: list[int], window: int, block: int) -> None:
    counts, _ = run(svd.cooccurrences(FakeCorpus(ids), 5, 0, window, block))
    np.testing.assert_array_equal(counts.toarray(), brute_force(ids, 5, 0, window))


def test_counting_reads_no_more_than_a_block() -> None:
    corpus = FakeCorpus(zipf_ids(50, 10_000, 1))
    _, records = run(svd.cooccurrences(corpus, 50, 0, 3, 1000))
    assert corpus.longest_read == 1003
    assert [record.done for record in records] == list(range(1000, 10_001, 1000))


@pytest.mark.parametrize("smoothing", [0.75, 1.0])
def test_ppmi_against_dense(smoothing: float) -> None:
    counts, _ = run(svd.cooccurrences(FakeCorpus(zipf_ids(30, 600, 2)), 30, 3, 4))
    result = svd.ppmi(counts, smoothing)
    np.testing.assert_allclose(result.toarray(), dense_ppmi(counts.toarray(), smoothing), rtol=1e-12, atol=1e-14)
    assert (result.data > 0).all()


def test_table_is_the_truncated_decomposition_of_ppmi() -> None:
    corpus, words, d = FakeCorpus(zipf_ids(60, 5000, 3)), 60, 8
    vocabulary = FakeVocabulary(["</s>", *map(str, range(words - 1))])
    table, _ = run(svd.make(corpus, vocabulary, settings("svd", d, window=4), 1, 1))
    counts, _ = run(svd.cooccurrences(corpus, words, 0, 4))
    U, S, _ = np.linalg.svd(dense_ppmi(counts.toarray(), 0.75))
    expected = U[:, :d] * np.sqrt(S[:d])
    expected *= np.sign(expected[np.abs(expected).argmax(axis=0), np.arange(d)])
    np.testing.assert_allclose(table, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def small_dense_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small matrices take the way of large ones."""
    monkeypatch.setattr(svd, "_DENSE_WORDS", 0)


@pytest.mark.usefixtures("small_dense_limit")
def test_sparse_and_dense_decomposition_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, _ = run(svd.cooccurrences(FakeCorpus(zipf_ids(200, 20_000, 4)), 200, 0, 5))
    matrix = svd.ppmi(counts)
    U, S = svd.factorise(matrix, 10, np.random.default_rng(1))
    monkeypatch.setattr(svd, "_DENSE_WORDS", 1000)
    U_dense, S_dense = svd.factorise(matrix, 10, np.random.default_rng(1))
    np.testing.assert_allclose(S, S_dense, rtol=1e-10)
    np.testing.assert_allclose(U, U_dense, atol=1e-8)


@pytest.mark.usefixtures("small_dense_limit")
@pytest.mark.parametrize("values", [np.ones(300), np.r_[3.0, 2, 1, np.zeros(297)]])
def test_sparse_decomposition_repeats_where_arpack_starts_over(values: np.ndarray) -> None:
    from scipy.sparse import csr_array

    matrix = csr_array(np.diag(values))
    results = [svd.factorise(matrix, 20, np.random.default_rng(1)) for _ in range(3)]
    np.testing.assert_allclose(results[0][1], values[values > 0][:20], rtol=1e-10)
    assert len({U.tobytes() for U, _ in results}) == 1


@pytest.mark.usefixtures("small_dense_limit")
def test_low_rank_sparse_matrix_stops_at_the_rank_and_repeats() -> None:
    from scipy.sparse import csr_array

    rng = np.random.default_rng(5)
    dense = np.abs(rng.standard_normal((300, 6))) @ np.abs(rng.standard_normal((6, 300)))
    results = [svd.factorise(csr_array(dense), 20, np.random.default_rng(1)) for _ in range(3)]
    U, S = results[0]
    assert len(S) == 6
    np.testing.assert_allclose(S, np.linalg.svd(dense, compute_uv=False)[:6], rtol=1e-10)
    np.testing.assert_allclose(U.T @ U, np.eye(6), atol=1e-10)
    assert all(other.tobytes() == U.tobytes() for other, _ in results)


def test_largest_number_of_each_singular_vector_is_positive() -> None:
    counts, _ = run(svd.cooccurrences(FakeCorpus(zipf_ids(40, 3000, 6)), 40, 0, 5))
    U, S = svd.factorise(svd.ppmi(counts), 10, np.random.default_rng(1))
    assert (U[np.abs(U).argmax(axis=0), np.arange(10)] > 0).all()
    assert (np.diff(S) <= 0).all()


@pytest.mark.parametrize("text", ["a b\nb a\n", "a\n", "\n\n", ""])
def test_tiny_vocabularies_get_finite_tables_with_no_zero_row_or_column(text: str) -> None:
    corpus, vocabulary = words_of(text)
    table, records = run(svd.make(corpus, vocabulary, settings("svd", 10), 1, 1))
    assert table.shape == (len(vocabulary), 10)
    assert np.isfinite(table).all()
    assert table.any(axis=0).all()
    assert table.any(axis=1).all()
    assert any("10 dimensions" in getattr(record, "text", "") for record in records)


def test_words_with_the_same_company_are_neighbours() -> None:
    rng = np.random.default_rng(8)
    animals, verbs = ["cat", "dog", "cow"], ["sings", "sleeps", "eats"]
    text = "".join(f"the {rng.choice(animals)} {rng.choice(verbs)} here\n" for _ in range(500))
    corpus, vocabulary = words_of(text)
    table, _ = run(svd.make(corpus, vocabulary, settings("svd", 3), 1, 1))
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    row = {word: unit[i] for i, word in enumerate(vocabulary.tokens)}
    alike = min(float(row["cat"] @ row["dog"]), float(row["sings"] @ row["eats"]))
    assert alike > 0.9
    assert alike > float(row["cat"] @ row["sings"]) + 0.3
