"""The model card of an exported folder: the network, its training, and what its perplexity stands on."""

from __future__ import annotations

from rnnlm.files.model_file import Trained


def card(trained: Trained, name: str) -> str:
    return f"# {name}\n"
