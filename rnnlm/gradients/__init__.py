"""Analysis of gradients: the check, the split by time lag, the derivation with numbers.

`check` proves the kernels, `ledger` splits a gradient by loss and lag, and `derivation` walks through the
equations of ``network.reference.equations`` one by one.
"""
