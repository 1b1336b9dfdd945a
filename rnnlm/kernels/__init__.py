"""Compiled code below the layers: the decorator, threads, products, elementwise functions.

`jit`, ``parallel``, ``matmul`` (products of packed operands), ``elementwise`` (exp and its kin),
``workspace`` (arrays that are used again). Knows no layer.
"""
