"""Loggers: the records of a training as files that other programs read."""
