"""The derivation, step by step, with real numbers."""
