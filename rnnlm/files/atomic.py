"""Writing files so that nothing half-written is ever seen, and reading and writing safetensors."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import ModelError, ResourceError

# Of the metadata under the key ``rnnlm``: 2, since the configuration in it has sections by their type.
FORMAT = 2


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that stands under `path` only when the block ends without an error: written beside its place,
    flushed to the disk, renamed over it. A link stays one; what is no file (``/dev/null``, a pipe) is written to and
    not replaced.

    Raises:
        ResourceError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        with _told(path), open(path, "wb") as file:
            yield file
        return
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(beside, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
            _sync_folder(path.parent)
    finally:
        with suppress(OSError):  # renamed already, or never made
            beside.unlink()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """An OSError becomes an error in one line."""
    try:
        yield
    except OSError as error:
        raise ResourceError(
            f"{path}: cannot be written: {error.strerror or error}; choose another place or free space"
        ) from None


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; systems where a folder cannot be opened do without."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def write_tensors(path: str | Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """A safetensors file; `metadata` is kept as one JSON object under the key ``rnnlm``.

    safetensors takes arrays that are not C-contiguous and writes them wrong without a word, so they are copied first.
    """
    from safetensors.numpy import save

    text = json.dumps(metadata, ensure_ascii=False, sort_keys=True)
    data = save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, {"rnnlm": text})
    with atomic_write(path) as file:
        file.write(data)


def read_tensors(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The tensors and the metadata of a file that `write_tensors` wrote.

    Raises:
        ModelError: no such file, a damaged one, or one that rnnlm did not write.
    """
    metadata = read_metadata(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path), metadata
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: damaged: {error}; take an earlier copy or train again") from None


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata alone: reads the header, not the tensors."""
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
    return metadata
