"""Export of the trained word vectors, the embedding table, in word2vec's format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnlm.files.model_file import Trained
from rnnlm.network import parameters as model
from rnnlm.vectors import pretrained


def export(trained: Trained, path: Path) -> tuple[int, int]:
    """Write a model's embedding table, float32, its tokens spelled as in ``vocab.txt``; returns |V| and d.

    The file is binary where its name ends in ``.bin``, else text.

    Raises:
        ResourceError: it cannot be written.
    """
    words = trained.vocabulary
    table = trained.parameters[model.TABLE].astype(np.float32)
    pretrained.save(path, [words.spell(i) for i in range(len(words))], table, path.suffix.lower() == ".bin")
    return table.shape[0], table.shape[1]
