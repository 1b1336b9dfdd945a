"""The embedding layer: e(t) is row x(t) of the table (|V| x d).

A window has far fewer different tokens than tokens. `Distinct` lists them once, with an index that says which of them
stands where; `gather` reads their rows, and the gradient comes back summed by token, one row each, so that neither
the gradient nor its update touches any other row of the table.
"""

from __future__ import annotations

import numpy as np

from rnnlm.kernels.elementwise.rows import add, copy
from rnnlm.kernels.jit import jit


class Distinct:
    """Finds a window's different tokens; keeps a |V|-long slot table so that this costs no sort."""

    def __init__(self, vocabulary: int) -> None:
        self._slot = np.full(vocabulary, -1, np.int32)

    def __call__(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """inputs: T x B int32. Returns tokens (n int32, in order of appearance) and index (T x B int32, into
        tokens)."""
        tokens = np.empty(min(inputs.size, self._slot.size), np.int32)
        index = np.empty(inputs.shape, np.int32)
        count = _distinct(inputs, self._slot, tokens, index)
        return tokens[:count], index


@jit
def _distinct(inputs, slot, tokens, index):
    count = 0
    for t in range(inputs.shape[0]):
        for b in range(inputs.shape[1]):
            token = inputs[t, b]
            if slot[token] < 0:
                slot[token] = count
                tokens[count] = token
                count += 1
            index[t, b] = slot[token]
    for i in range(count):
        slot[tokens[i]] = -1
    return count


@jit
def gather(table, tokens, e):
    """e[i] = table[tokens[i]]."""
    for i in range(tokens.size):
        copy(table[tokens[i]], e[i])


@jit
def scatter_add(gradient, tokens, de):
    """Undoes `gather` for a gradient as large as the table (tied weights): gradient[tokens[i]] += de[i]."""
    for i in range(tokens.size):
        add(de[i], gradient[tokens[i]])
