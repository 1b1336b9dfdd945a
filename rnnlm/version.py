"""The version, alone, so that nothing reaches up to the package's root for it."""

__version__ = "0.1.0"
