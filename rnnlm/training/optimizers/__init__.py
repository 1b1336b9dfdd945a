"""The optimizers, a file a rule."""
