"""The cache of one function's compiled code: a file for each signature and processor.

Numba's own cache has an index file for each function. Two processes that compile at the same time can each name a
file `1` there, so that the code of one signature is read as that of the other, and an index that a power cut left
empty stops every later process. Here a file's name is the hash of what the code depends on, a file is written whole
or not at all, and one that is damaged is as good as none.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from rnnlm.kernels import cache, claims

_DIGEST = hashlib.sha256().digest_size


class CompiledCode(NullCache):
    """What a Numba dispatcher asks for compiled code, and gives what it compiled, inside a ``with`` block.

    Args:
        named_in: the names that compiled code has of what is not part of it.
        load: makes such names known to LLVM.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        named_in: Callable[[Any], list[str]],
        load: Callable[[list[str], Any], None],
    ) -> None:
        self._function, self._named_in, self._load = function, named_in, load
        self._claimed: list[Path] = []

    @property
    def cache_path(self) -> str | None:
        folder = cache.folder()
        return str(folder) if folder else None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for these types of arguments, or None: then it is this process that compiles it."""
        path = self._path(sig, target_context.codegen())
        if path is None:
            return None
        found = _read(path)
        if not found:
            self._claimed.append(path)
            claims.claim(path)
            found = _read(path)  # another process may have compiled it meanwhile
        if not found or found[0] != sig:
            return None
        _, names, data = found
        self._load(names, target_context)
        return CompileResult._rebuild(target_context, *data)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function. Without room for it, say so once."""
        path = self._path(sig, data.codegen)
        if path is None:
            return
        try:
            if not data.library.has_dynamic_globals:  # code with addresses in it
                _write(path, (sig, self._named_in(data.library), data._reduce()))
        except OSError as error:
            _say_once(f"compiled code is not kept: {path.parent}: {error.strerror}")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *raised: object) -> None:
        """What was to be compiled is there, or it failed: others need not wait any more."""
        while self._claimed:
            claims.release(self._claimed.pop())

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        folder, source = cache.folder(), _file_hash(self._function.__code__.co_filename)
        if not folder or not source or self._function.__closure__:
            return None
        name = f"{self._function.__module__}.{self._function.__qualname__}"
        depends = (name, sig, codegen.magic_tuple(), source, cache.source_hash(), numba.__version__)
        return folder / f"{name}-{hashlib.sha256(repr(depends).encode()).hexdigest()[:32]}.nbc"


@functools.cache
def _file_hash(path: str) -> str | None:
    """sha256 of a function's file, which need not be one of ours; None where there is none (a notebook)."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def _read(path: Path) -> Any:
    """What `_write` wrote; None where there is no file or a damaged one."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, data = content[:_DIGEST], content[_DIGEST:]
    return pickle.loads(data) if hashlib.sha256(data).digest() == digest else None


def _write(path: Path, value: Any) -> None:
    """Write a file whole. It is not flushed to the disk, which would take longer than compiling some functions: what
    a power cut damages is found by its digest."""
    data = dumps(value)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@functools.cache
def _say_once(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
