"""Functions of single numbers, and rows of them."""
