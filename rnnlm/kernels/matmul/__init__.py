"""Matrix products: layouts of packed operands, tile kernels, and what layers call.

gemm, linear    what layers call
layout          how operands lie in memory        choice    which layout bfloat16 has here
pack, split     how they are written              tile, amx how they are multiplied, by vectors and by AMX
"""
