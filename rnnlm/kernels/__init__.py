"""What every layer is built on: the one decorator (jit), matrix products (blas), exp and its kin (maths). Knows no
layer."""
