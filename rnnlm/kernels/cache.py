"""The folder of compiled code, named by the hash of the sources.

The code of one function depends on every function and constant that it takes in, in whatever file these stand. So
the folder is named by the hash of all sources that a kernel can be made of. It is made when the first kernel is
compiled, not when kernels are imported. Folders of other versions of the sources are removed when nobody has used
them for a while.
"""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path

from rnnlm import user_cache

# The packages that have kernels, whole: constants count as well as functions.
SOURCES = ("evaluation", "kernels", "measure", "network", "text", "training", "vectors", "word_classes")


@functools.cache
def folder() -> Path | None:
    """The folder for code that is compiled of these sources: NUMBA_CACHE_DIR, or one in the user's cache; None, with
    a warning, where it cannot be written."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    root = Path(chosen) if chosen else user_cache.folder("compiled")
    path = _made(root if chosen else root / source_hash()) if root else None
    if path is None:
        where = f"{chosen} cannot" if chosen else "neither the user's cache nor the temporary folder can"
        warnings.warn(f"compiled code is not kept: {where} be written", RuntimeWarning, stacklevel=2)
    elif root and not chosen:
        user_cache.touch(path)
        user_cache.prune(root)
    return path


def source_hash() -> str:
    """The hash of all files of `SOURCES`."""
    return user_cache.source_hash(*SOURCES)


def _made(path: Path) -> Path | None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return path if user_cache.is_writable(path) else None
