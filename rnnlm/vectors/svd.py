"""Word vectors by truncated SVD of the PPMI matrix (Levy, Goldberg & Dagan 2015, TACL 3).

    n(w, c)     how often c stands within L = `window` words of w on the same line; a pair at distance k counts
                L - k + 1 times. This is L times what word2vec's randomly shrunk window counts on average
                (section 3.1), in whole numbers, so that the sums do not depend on the blocks of the text
    n(w), n(c)  their sums over c and over w
    P_a(c)      = n(c)^a / sum_c' n(c')^a          a = 0.75, context distribution smoothing (section 3.2)
    PPMI(w, c)  = max(0, log( n(w, c) / (n(w) P_a(c)) ))       (sections 2.1, 3.2)
    PPMI        ~ U_d S_d V_d'                     truncated singular value decomposition (section 2.2)
    table       = U_d S_d^p                        p = 0.5 (section 3.3): with p = 1 the few largest singular values
                                                   drown the rest, and vectors do worse on most tasks;
                                                   p = 0.5 gives words and contexts the same share of S

Every token is a word here: <unk>, and the line end, which is the last word of its line. Pairs never cross a
line end. Peak memory: about 55 bytes for each distinct pair (w, c).
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from rnnlm.config.embedding import Embedding, Svd
from rnnlm.vectors.counting import BLOCK, blocks, line_numbers
from rnnlm.vectors.protocols import Corpus, Vocabulary
from rnnlm.work import Note, Progress, Task

SMOOTHING = 0.75  # a
POWER = 0.5  # p

_DENSE_WORDS = 1000  # up to here a full decomposition takes well under a second
_FILLER = 0.1  # size of the random numbers where the text says nothing, relative to the rest of the table


def make(
    corpus: Corpus, vocabulary: Vocabulary, settings: Embedding, seed: int, threads: int | str
) -> Task[np.ndarray]:
    """The table, float32, |V| x d. Runs on one thread: `threads` changes nothing."""
    assert isinstance(settings.init, Svd)
    words, size = len(vocabulary), settings.size
    counts = yield from cooccurrences(corpus, words, vocabulary.line_end, settings.init.window)
    association = ppmi(counts)
    yield Note(f"svd: {counts.nnz} distinct pairs, {association.nnz} of them with a positive PMI; factorising")
    del counts
    rng = np.random.default_rng(seed)
    U, S = factorise(association, min(size, words), rng)
    table = np.zeros((words, size), np.float32)
    table[:, : len(S)] = U * S**POWER

    # Columns beyond the rank and rows of tokens without company would be all zero, and a column of zeros
    # gives the network nothing to learn from: small random numbers tell them apart.
    silent = np.asarray(~table.any(axis=1))
    empty = np.broadcast_to(silent[:, None], table.shape).copy()
    empty[:, len(S) :] = True
    told = table[~empty]
    scale = np.sqrt(np.mean(told**2, dtype=np.float64)) if told.size else 1.0
    table[empty] = _FILLER * scale * rng.standard_normal(np.count_nonzero(empty))
    if len(S) < size:
        yield Note(f"svd: the text gives {len(S)} of the {size} dimensions; the others start as small random numbers")
    if silent.any():
        yield Note(
            f"svd: {np.count_nonzero(silent)} tokens have no company; their rows start as small random numbers"
        )
    return table


def cooccurrences(corpus: Corpus, words: int, line_end: int, window: int, block: int = BLOCK) -> Task[Any]:
    """Co-occurrence counts n(w, c), a symmetric CSR matrix, int64, |V| x |V|."""
    from scipy.sparse import coo_array, csr_array

    ahead = csr_array((words, words), dtype=np.int64)  # c after w; the other half is its transpose
    for start, stop in blocks(len(corpus), block):
        begin = max(0, start - window)
        ids = corpus.ids(begin, stop)
        line = line_numbers(ids, line_end)
        in_block = csr_array((words, words), dtype=np.int64)
        for k in range(1, min(window, len(ids) - 1) + 1):
            first = max(start - begin, k)  # the later word of each pair is in this block, so no pair counts twice
            same_line = line[first - k : len(ids) - k] == line[first:]
            if not same_line.any():
                break  # nor is there a pair further apart
            w, c = ids[first - k : len(ids) - k][same_line], ids[first:][same_line]
            weight = np.full(len(w), window - k + 1, np.int64)
            in_block += coo_array((weight, (w, c)), shape=(words, words)).tocsr()
        ahead += in_block
        yield Progress("counting pairs", stop, len(corpus), "tokens")
    return csr_array(ahead + ahead.T)


def ppmi(counts: Any, smoothing: float = SMOOTHING) -> Any:
    """Positive pointwise mutual information PPMI(w, c), a CSR matrix, float64, without the zeros.

    Args:
        counts: n(w, c), CSR, |V| x |V|.
    """
    from scipy.sparse import csr_array

    n_w = np.asarray(counts.sum(axis=1), np.float64).ravel()
    n_c = np.asarray(counts.sum(axis=0), np.float64).ravel()
    P_c = n_c**smoothing
    P_c /= max(P_c.sum(), np.finfo(np.float64).tiny)
    w = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    pmi = np.log(counts.data / (n_w[w] * P_c[counts.indices]))
    result = csr_array((np.maximum(pmi, 0, out=pmi), counts.indices.copy(), counts.indptr.copy()), shape=counts.shape)
    result.eliminate_zeros()
    return result


def factorise(matrix: Any, d: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Truncated SVD: the d largest singular values S, falling, and left singular vectors U (|V| x d), float64.

    Fewer than d where the rank is smaller. A singular vector is defined up to its sign: here its number of
    largest size is positive.
    """
    from scipy.linalg import svd

    words = matrix.shape[0]
    if matrix.nnz == 0:
        return np.zeros((words, 0)), np.zeros(0)
    if words <= _DENSE_WORDS or 2 * d >= words:
        U, S, _ = svd(matrix.toarray(), full_matrices=False)
        U, S = U[:, :d], S[:d]
    else:
        U, S = _leading(matrix, d, rng)
    smallest = words * np.finfo(np.float64).eps * S[0]
    rank = int(np.count_nonzero(smallest < S))
    U, S = U[:, :rank], S[:rank]
    largest = np.abs(U).argmax(axis=0)
    return U * np.sign(U[largest, np.arange(rank)]), S


def _leading(A: Any, d: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Truncated SVD: U, S by ARPACK on A'A, as ``scipy.sparse.linalg.svds`` does it.

    Not ``svds`` itself: it does not hand its random numbers on to ARPACK, which draws new ones where the
    rank is below d, and then no two runs would give the same bytes.
    """
    from scipy.linalg import qr, svd
    from scipy.sparse.linalg import LinearOperator, eigsh

    transposed = A.T.tocsr()
    gram = LinearOperator((A.shape[1], A.shape[1]), matvec=lambda x: transposed @ (A @ x), dtype=A.dtype)
    # Older releases of SciPy have no such argument and always start from the same numbers.
    reproducible = {"rng": rng} if "rng" in inspect.signature(eigsh).parameters else {}
    _, V = eigsh(gram, k=d, v0=rng.standard_normal(A.shape[1]), **reproducible)
    V, _ = qr(V, mode="economic")  # ARPACK's vectors are not quite orthogonal where eigenvalues lie close together
    U, S, _ = svd(A @ V, full_matrices=False)
    return U, S
