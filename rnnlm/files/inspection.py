"""Contents of a model file as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rnnlm.files import model_file
from rnnlm.text.tokenizers import Subwords
from rnnlm.text.vocabulary import Vocabulary


def _subwords(vocabulary: Vocabulary) -> dict[str, Any] | None:
    """The model of subwords: the library that reads it, and its hash; None where tokens are no subwords."""
    model = vocabulary.tokenizer
    return {"made_by": model.made_by, "sha256": model.sha256} if isinstance(model, Subwords) else None


def inspect(path: str | Path) -> dict[str, Any]:
    """The file's configuration, training, vocabulary size, model of subwords, and tensors with their shape, type,
    norm and largest number.

    Raises:
        ModelError: not there or damaged.
    """
    trained = model_file.load(path)
    initial = model_file.initial_tensors(trained.initial)
    tensors = {
        name: {
            "shape": list(value.shape),
            "type": str(value.dtype),
            "norm": float(np.linalg.norm(value.astype(np.float64))),
            "largest": float(np.abs(value).max()) if value.size else 0.0,
        }
        for name, value in (trained.parameters | initial | trained.extra).items()
    }
    config = trained.config.model_dump()
    del config["run"]
    words = trained.vocabulary
    return {
        "path": str(trained.path),
        "parameters": sum(value.size for value in trained.parameters.values()),
        "vocabulary": len(words),
        "subwords": _subwords(words),
        "most_frequent": [words.spell(i) for i in range(min(12, len(words)))],
        "training": trained.training,
        "initial_state": "model" if initial else "zero",
        "position": trained.position,
        "config": config,
        "tensors": tensors,
    }
