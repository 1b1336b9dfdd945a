"""The folder of compiled code, named by the hash of the sources.

The code of one function depends on every function and constant that it takes in, in whatever file these stand. So
the folder is named by the hash of all sources that a kernel can be made of. It is made when the first kernel is
compiled, not when kernels are imported. Folders of other versions of the sources are removed when nobody has used
them for a while.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path

# The packages that have kernels, whole: constants count as well as functions.
SOURCES = ("kernels", "measure", "network", "text", "training", "vectors")

_KEEP_DAYS = 30


@functools.cache
def folder() -> Path | None:
    """The folder for code that is compiled of these sources: NUMBA_CACHE_DIR, or one in the user's cache, or one in
    the system's temporary folder; None, with a warning, where none of them can be written."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    for find in (lambda: Path(chosen or ""),) if chosen else (_in_the_users_cache, _in_the_temporary_folder):
        # RuntimeError: a user without a home.
        with contextlib.suppress(OSError, RuntimeError):
            path = find()
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if chosen or _is_private(path):
                with tempfile.TemporaryFile(dir=path):
                    return path
    where = f"{chosen} cannot" if chosen else "neither the user's cache nor the temporary folder can"
    warnings.warn(f"compiled code is not kept: {where} be written", RuntimeWarning, stacklevel=2)
    return None


@functools.cache
def source_hash() -> str:
    """The first 16 hexadecimal digits of sha256 over all files of `SOURCES`, by name."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parents[1]
    for name in SOURCES:
        for path in sorted((package / name).rglob("*.py")):
            digest.update(str(path.relative_to(package)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _in_the_users_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    root = (Path(base) if base else Path.home() / ".cache") / "rnnlm" / "kernels"
    path = root / source_hash()
    _prune(root, path)
    return path


def _in_the_temporary_folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"rnnlm-{user}-{source_hash()}"


def _is_private(path: Path) -> bool:
    """Whether nobody else can put files there. Compiled code is run: what another user left there would act in this
    user's name."""
    if not hasattr(os, "getuid"):
        return True
    found = path.lstat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def _prune(root: Path, current: Path) -> None:
    """Remove the folders of other versions of the sources that nobody has used for a while."""
    try:
        if current.exists():
            os.utime(current)
        for other in root.iterdir():
            if other != current and time.time() - other.stat().st_mtime > _KEEP_DAYS * 86400:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        pass  # another process prunes at the same time, or the folder is not ours
