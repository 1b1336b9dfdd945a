"""Interchange of models with other programs."""
