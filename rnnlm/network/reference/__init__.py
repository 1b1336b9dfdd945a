"""The reference implementation: the same equations in plain float64 NumPy.

For reading and for the checks.
"""
