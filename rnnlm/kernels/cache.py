"""The cache of compiled code, in a folder named by the hash of the sources.

Numba's own cache does not see a change in a helper of another file and would then run stale code. So the folder is
named by the hash of all sources that a kernel can be made of. It is made when the first kernel is compiled, not when
kernels are imported. Folders of other versions of the sources are removed when nobody has used them for a while.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numba

# The packages that have kernels, whole: constants count as well as functions.
SOURCES = ("kernels", "measure", "network", "text", "training", "vectors")

_KEEP_DAYS = 30

# Numba sets its options by assignment when it is imported, which a type checker does not see.
_numba_settings: Any = numba.config


def use_folder() -> str:
    """Let Numba keep compiled code in the folder that these sources have, or in NUMBA_CACHE_DIR where that is set.
    Returns the folder's path."""
    if not _numba_settings.CACHE_DIR:
        _numba_settings.CACHE_DIR = _choose()
    return str(_numba_settings.CACHE_DIR)


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


def _choose() -> str:
    """A new or earlier folder in the user's cache, or in the system's temporary folder where that cannot be
    written."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    for root in (_root(), Path(tempfile.gettempdir()) / f"rnnlm-{user}"):
        folder = root / source_hash()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError:
            continue
        _prune(root, folder)
        return str(folder)
    return tempfile.mkdtemp(prefix="rnnlm-")


def _root() -> Path:
    """Where the user's programs keep what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rnnlm" / "kernels"


def _prune(root: Path, current: Path) -> None:
    """Remove the folders of other versions of the sources that nobody has used for a while."""
    try:
        os.utime(current)
        for other in root.iterdir():
            if other != current and time.time() - other.stat().st_mtime > _KEEP_DAYS * 86400:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        pass  # another process prunes at the same time, or the folder is not ours
