"""Compiled code below the layers: the decorator, threads, products, elementwise functions.

`jit`, ``parallel``, ``matmul`` (products of packed operands), ``elementwise`` (exp and its kin),
``workspace`` (arrays that are used again). Knows no layer.
"""

from rnnlm.errors import InputError

try:
    import numba
except ValueError as error:
    raise InputError(f"Numba refuses a variable of the environment (NUMBA_...): {error}") from error
if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise InputError("NUMBA_DISABLE_JIT is set, and kernels run compiled only: unset it")
