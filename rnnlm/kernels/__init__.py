"""What compiled code is built on: the decorator `jit`, threads (``parallel``), matrix products of packed operands
(``matmul``), exp and its kin (``elementwise``), arrays that are used again (``workspace``). Knows no layer."""
