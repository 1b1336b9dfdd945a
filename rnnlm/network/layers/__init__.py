"""Layers besides cells and output layers: embedding, dropout, normalisation, projection."""
