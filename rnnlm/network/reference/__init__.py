"""The reference implementation: the same equations in plain float64 NumPy, for reading and for the checks."""
