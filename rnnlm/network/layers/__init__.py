"""Layers that every network may have, beside the recurrent ones and the output layer."""
