"""The console: the only part that prints."""

from rnnlm.console.console import Console

__all__ = ["Console"]
