"""Refusal of models whose words are cut in a way that other programs do not know."""

from __future__ import annotations

from rnnlm.errors import InputError
from rnnlm.files.model_file import Trained
from rnnlm.text.tokenizers import WHITESPACE, Subwords


def check(trained: Trained, target: str) -> None:
    """Check that the target's programs can cut a text into the model's tokens.

    Raises:
        InputError: they cut words at white space alone, and the model's have punctuation apart or are subwords.
    """
    tokenizer = trained.vocabulary.tokenizer
    if isinstance(tokenizer, Subwords):
        raise InputError(
            f"the export to {target} has no subwords, and this model has data.unit: subword; --to onnx and --to "
            "pytorch leave the tokens to you"
        )
    if tokenizer != WHITESPACE:
        raise InputError(
            f"the export to {target} cuts words at white space alone, and this model has data.tokenizer: "
            f"{tokenizer}; --to onnx and --to pytorch leave the tokens to you"
        )
