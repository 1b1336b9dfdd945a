"""Evaluation of a trained network on a text: perplexity, and surprisal by token."""
