"""The derivation of the gradients, step by step, with numbers."""
