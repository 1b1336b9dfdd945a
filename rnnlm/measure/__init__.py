"""Measurements: a run's plan, a bench of the layers, the warm-up."""
