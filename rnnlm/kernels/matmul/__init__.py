"""Matrix products of packed operands."""
