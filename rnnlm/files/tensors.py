"""Safetensors files: named arrays with metadata and checksums.

A file is 8 bytes (the length of the header), a JSON header (name, type, shape and place of every tensor) and the
numbers. Under ``__metadata__`` stand ``rnnlm``, one JSON object, and ``checksum``, the CRC-32 of its text. The
object's ``checksums`` has the CRC-32 of each tensor's bytes, so that a flipped bit is found. A file without them is
read as well.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import ModelError, NotFiniteError
from rnnlm.files.atomic import atomic_write

# Of the metadata under the key ``rnnlm``: 2, since the configuration in it has sections by their type.
FORMAT = 2
_KEY, _CHECKSUM, _CHECKSUMS = "rnnlm", "checksum", "checksums"

# The format's names of NumPy's types; all are little-endian.
TYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_NAMES = {np.dtype(code): name for name, code in TYPES.items()}


def write_tensors(path: str | Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """Write a safetensors file; `metadata` is kept as one JSON object under the key ``rnnlm``.

    The tensors are written one by one, so that no second copy of them is in memory.

    Raises:
        NotFiniteError: a number is not finite: what lies there stays. ResourceError: as ``atomic_write``.
    """
    if found := not_finite(tensors):
        raise NotFiniteError(f"{path}: not written: {found}")
    # The widest numbers first: so each tensor lies where its type is aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    checksums = {name: _crc(_bytes(tensors[name])) for name in names}
    text = json.dumps({**metadata, _CHECKSUMS: checksums}, ensure_ascii=False, sort_keys=True)
    header: dict[str, Any] = {"__metadata__": {_CHECKSUM: _crc(text.encode("utf-8")), _KEY: text}}
    end = 0
    for name in names:
        tensor, start = tensors[name], end
        end += tensor.nbytes
        kind = _NAMES[tensor.dtype.newbyteorder("<")]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [start, end]}
    packed = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    packed += b" " * (-len(packed) % 8)
    with atomic_write(path) as file:
        file.write(len(packed).to_bytes(8, "little") + packed)
        for name in names:
            file.write(_bytes(tensors[name]).data)


def not_finite(tensors: Mapping[str, NDArray[Any]]) -> str | None:
    """What is said of the first array with a number that is not finite; None where there is none."""
    for name, tensor in tensors.items():
        if not is_finite(tensor):
            finite = np.isfinite(tensor)
            return f"{finite.size - np.count_nonzero(finite):,} of {finite.size:,} numbers of {name} are not finite"
    return None


def read_tensors(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The tensors and the metadata of a file that `write_tensors` wrote.

    Raises:
        ModelError: no such file, a damaged one, one that rnnlm did not write, or numbers that are not finite.
    """
    with _opened(path) as file:
        metadata = _metadata(path, file)
        checksums = metadata.pop(_CHECKSUMS, {})
        if not isinstance(checksums, dict):
            raise ModelError(f"{path}: damaged: the metadata's {_CHECKSUMS} are no mapping; take an earlier copy")
        tensors = _read_all(path, file)
    for name, wanted in checksums.items():
        if name not in tensors:
            raise ModelError(f"{path}: damaged: the tensor {name} is missing; take an earlier copy or train again")
        if _crc(_bytes(tensors[name])) != wanted:
            raise ModelError(
                f"{path}: damaged: the numbers of {name} are not those that were written (its checksum is "
                "another); take an earlier copy or train again"
            )
    return tensors, metadata


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of a file that `write_tensors` wrote: reads the header, not the tensors.

    Raises:
        ModelError: as `read_tensors`.
    """
    with _opened(path) as file:
        metadata = _metadata(path, file)
    metadata.pop(_CHECKSUMS, None)
    return metadata


def is_ours(path: str | Path) -> bool:
    """Whether `write_tensors` wrote a safetensors file.

    Raises:
        ModelError: no such file, or a damaged one.
    """
    with _opened(path) as file:
        return _KEY in (file.metadata() or {})


def read_plain(path: str | Path) -> dict[str, NDArray[Any]]:
    """The tensors of anybody's safetensors file.

    Raises:
        ModelError: no such file, a damaged one, or numbers of a type that NumPy does not have.
    """
    with _opened(path) as file:
        return _read_all(path, file)


def _read_all(path: str | Path, file: Any) -> dict[str, NDArray[Any]]:
    """Every tensor of an open safetensors file, which the library has checked.

    The numbers are read without it: it maps the file, so that for a while they would be in memory twice.
    """
    tensors: dict[str, NDArray[Any]] = {}
    with open(path, "rb") as raw:
        begin = 8 + int.from_bytes(raw.read(8), "little")
        header = json.loads(raw.read(begin - 8))
        for name in file.keys():  # noqa: SIM118 - no mapping
            own = header[name]
            if own["dtype"] not in TYPES:
                raise ModelError(
                    f"{path}: {name} has numbers of type {own['dtype']}, which are not read here; save it as float32"
                )
            raw.seek(begin + own["data_offsets"][0])
            dtype, count = np.dtype(TYPES[own["dtype"]]), math.prod(own["shape"])
            tensors[name] = np.fromfile(raw, dtype, count).reshape(own["shape"])
    return tensors


def check(tensors: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]) -> None:
    """Check that these tensors are there, of this shape and type, and finite.

    Raises:
        ValueError: the first thing that is wrong.
    """
    for name, shape in expected.items():
        found = tensors.get(name)
        if found is None:
            raise ValueError(f"the tensor {name} is missing")
        if found.shape != tuple(shape) or found.dtype != dtype:
            raise ValueError(
                f"{name} is {found.dtype} {found.shape}; its configuration asks for {dtype} {tuple(shape)}"
            )
        if not is_finite(found):
            raise ValueError(f"{name} holds numbers that are not finite (NaN or infinity)")


def is_finite(array: NDArray[Any]) -> bool:
    """Whether no number of an array is infinite or NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum(dtype=np.float64)  # an infinity or a NaN stays in a sum; no array is made for it
    return bool(np.isfinite(total)) or bool(np.isfinite(array).all())


def what_it_is(path: str | Path) -> str | None:
    """What a file is that is no safetensors file, and what to do with it; None where nothing is known."""
    try:
        with open(path, "rb") as file:
            begins = file.read(64)
    except OSError:
        return None
    if begins.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself; fetch it with: git lfs pull"
    if begins.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04")):
        return (
            "a pickle of PyTorch (.pt), which is not read since it can run commands; save its state dict with "
            "safetensors.torch.save_file"
        )
    return None


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """A safetensors file, open for reading; what goes wrong with it while the block reads is a ModelError."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.exists():
        raise ModelError(f"{path}: no such file; give a run's folder or its model.safetensors")
    if not path.is_file():
        raise ModelError(f"{path}: not a regular file; give a run's folder or its model.safetensors")
    if known := what_it_is(path):
        raise ModelError(f"{path}: {known}")
    try:
        open(path, "rb").close()  # of a file that may not be read safe_open says that there is none
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; give a file that can be read") from None
    try:
        with safe_open(path, "numpy") as file:
            yield file
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason, advice = " ".join(str(error).split()), "take an earlier copy or train again"
        if not _has_header(path):
            advice = "give a run's folder or its model.safetensors; if this was one, an earlier copy"
        raise ModelError(f"{path}: not a whole safetensors file: {reason}; {advice}") from None


def _has_header(path: Path) -> bool:
    """Whether a file begins as a safetensors file does: eight bytes, and JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _metadata(path: str | Path, file: Any) -> dict[str, Any]:
    kept = file.metadata() or {}
    text, checksum = kept.get(_KEY), kept.get(_CHECKSUM)
    if text is None:
        raise ModelError(f"{path}: a safetensors file, but not of rnnlm (its metadata has no key rnnlm)")
    if checksum is not None and checksum != _crc(text.encode("utf-8")):
        raise ModelError(
            f"{path}: damaged: the metadata is not what was written (its checksum is another); take an earlier copy "
            "or train again"
        )
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:  # broken, a number of thousands of digits, or nested too deeply
        raise ModelError(f"{path}: damaged: the metadata is not JSON ({error}); take an earlier copy") from None
    found = metadata.get("format") if isinstance(metadata, dict) else "unknown"
    if found == 1:
        raise ModelError(
            f"{path}: format 1, of an older rnnlm; this one reads format {FORMAT}: train again, or score it with the "
            "version that wrote it"
        )
    if found != FORMAT:
        raise ModelError(
            f"{path}: format {str(found)[:40]}; this rnnlm reads format {FORMAT}: take the rnnlm that wrote it"
        )
    assert isinstance(metadata, dict)
    return metadata


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of an array as the file has them: in rows, little-endian. A copy only where it lies otherwise."""
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C").reshape(-1).view(np.uint8)


def _crc(data: Any) -> str:
    """The CRC-32 of some bytes, eight hexadecimal digits."""
    return f"{zlib.crc32(data):08x}"
