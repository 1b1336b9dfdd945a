"""Elementwise functions, and operations on rows of numbers, for kernels."""
