"""The threads of the BLAS that NumPy and SciPy call.

The kernels have a thread pool of their own, which a second one fights for the cores. And the order of a BLAS's sums
depends on its threads, so that a table by SVD would have other last bits. The command line sets
``OPENBLAS_NUM_THREADS`` before NumPy is loaded. In somebody's Python process that is not ours to set: there
`one_blas_thread` limits the BLAS while we compute.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# OpenBLAS's functions as the builds of NumPy and SciPy call them.
_NAMES = [f"{prefix}openblas_{{}}_num_threads{suffix}" for prefix in ("", "scipy_") for suffix in ("", "64_")]

_lock = threading.Lock()
_users = 0
_before: list[int] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Inside the block every OpenBLAS has one thread, for all of the process; another BLAS is left as it is.

    After the last of several blocks that run at once, the numbers are those from before the first.
    """
    global _users, _before
    libraries = _libraries()
    with _lock:
        if _users == 0:
            _before = [get() for get, _ in libraries]
            for _, put in libraries:
                put(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                for (_, put), number in zip(libraries, _before, strict=True):
                    put(number)


def _libraries() -> list[tuple[Any, Any]]:
    """The functions that get and set the number of threads, of NumPy's OpenBLAS and of SciPy's."""
    import scipy.linalg._fblas  # noqa: F401 - with NumPy

    found = []
    for module in ("numpy._core._multiarray_umath", "scipy.linalg._fblas"):
        # Looks in the libraries that the module was linked to.
        library = ctypes.CDLL(sys.modules[module].__file__)
        for name in _NAMES:
            if hasattr(library, name.format("set")):
                found.append((getattr(library, name.format("get")), getattr(library, name.format("set"))))
    return found
