"""Sampling: generation, token by token."""
