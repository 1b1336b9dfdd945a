"""Matrix products: layouts of packed operands, tile kernels, and what layers call."""
