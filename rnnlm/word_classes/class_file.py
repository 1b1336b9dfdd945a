"""Files of word classes: ``token TAB class`` a line, tokens spelled as in ``vocab.txt``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import InputError, TextError
from rnnlm.text import files
from rnnlm.text.vocabulary import Vocabulary


def read(path: str | Path, vocabulary: Vocabulary, classes: int) -> NDArray[np.int32]:
    """The class of each token (|V|), by the classes' first tokens. Tokens that are not in the vocabulary are passed
    over, and with them classes that have no other.

    Raises:
        TextError: not UTF-8, or a line that is no token and class, or a token twice.
        InputError: a token of the vocabulary is not there, or the classes are not as many as `classes`.
    """
    names = _names(path)
    spelled = [vocabulary.spell(i) for i in range(len(vocabulary))]
    missing = [token for token in spelled if token not in names]
    if missing:
        others = f" and {len(missing) - 1:,} other tokens" if len(missing) > 1 else ""
        raise InputError(
            f"{path}: no class for {missing[0]!r}{others} of the vocabulary; add a line: token TAB class"
        )
    numbers: dict[str, int] = {}
    made = [numbers.setdefault(names[token], len(numbers)) for token in spelled]
    if len(numbers) != classes:
        raise InputError(
            f"{path}: the vocabulary's tokens are in {len(numbers):,} classes, model.output.classes is {classes:,}; "
            f"set model.output.classes: {len(numbers)}"
        )
    return np.array(made, np.int32)


def _names(path: str | Path) -> dict[str, str]:
    """The class of each token that the file has."""
    names: dict[str, str] = {}
    for number, line in files.table_lines(path, "a file of classes"):
        token, tab, name = line.partition("\t")
        if not tab or not token or not name.strip():
            raise TextError(f"{path}:{number}: found {line[:40]!r}; a line is: token TAB class")
        if token in names:
            raise TextError(f"{path}:{number}: {token[:40]!r} stands on an earlier line too; remove one of them")
        names[token] = name.strip()
    return names
