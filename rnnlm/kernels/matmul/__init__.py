"""Matrix products: how their operands are laid out, the innermost loops, and what layers call."""
