"""Safetensors files: named arrays with metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import ModelError, NotFiniteError
from rnnlm.files.atomic import atomic_write

# Of the metadata under the key ``rnnlm``: 2, since the configuration in it has sections by their type.
FORMAT = 2


def write_tensors(path: str | Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """Write a safetensors file; `metadata` is kept as one JSON object under the key ``rnnlm``.

    safetensors takes arrays that are not C-contiguous and writes them wrong without a word, so they are
    copied first.

    Raises:
        NotFiniteError: a number is not finite: what lies there stays. ResourceError: as ``atomic_write``.
    """
    from safetensors.numpy import save

    if found := not_finite(tensors):
        raise NotFiniteError(f"{path}: not written: {found}")

    text = json.dumps(metadata, ensure_ascii=False, sort_keys=True)
    data = save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, {"rnnlm": text})
    with atomic_write(path) as file:
        file.write(data)


def not_finite(tensors: Mapping[str, NDArray[Any]]) -> str | None:
    """What is said of the first array with a number that is not finite; None where there is none."""
    for name, tensor in tensors.items():
        if not (finite := np.isfinite(tensor)).all():
            return f"{finite.size - np.count_nonzero(finite):,} of {finite.size:,} numbers of {name} are not finite"
    return None


def read_tensors(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The tensors and the metadata of a file that `write_tensors` wrote.

    Raises:
        ModelError: no such file, a damaged one, one that rnnlm did not write, or numbers that are not finite.
    """
    metadata = read_metadata(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: damaged: {error}; take an earlier copy or train again") from None
    if found := not_finite(tensors):
        raise ModelError(f"{path}: {found}; take an earlier copy or train again")
    return tensors, metadata


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of a file that `write_tensors` wrote: reads the header, not the tensors.

    Raises:
        ModelError: as `read_tensors`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get("rnnlm")
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; give a run's folder or its model.safetensors") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path}: not a whole safetensors file: {error}; take an earlier copy or train again"
        ) from None
    if text is None:
        raise ModelError(f"{path}: a safetensors file, but not of rnnlm (its metadata has no key rnnlm)")
    try:
        metadata = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}: damaged: the metadata is not JSON ({error})") from None
    found = metadata.get("format") if isinstance(metadata, dict) else metadata
    if found == 1:
        raise ModelError(
            f"{path}: format 1, of an older rnnlm; this one reads format {FORMAT}: train again, or score it with the "
            "version that wrote it"
        )
    if found != FORMAT:
        raise ModelError(f"{path}: format {found}; this rnnlm reads format {FORMAT}: take the rnnlm that wrote it")
    assert isinstance(metadata, dict)
    return metadata
