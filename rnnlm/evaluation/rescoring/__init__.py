"""Rescoring of n-best lists of speech and OCR recognisers by a language model."""
