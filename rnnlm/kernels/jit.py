"""The one place that knows Numba's options.

``@jit`` compiles a function that runs on one thread, ``@parallel`` one whose ``prange`` loops are shared out over
threads. A parallel kernel does ``for worker in prange(workers)`` and gives each worker its own range of rows or
columns, so that the order of every sum, and with it every bit of the result, depends on the number of workers alone.

Compiled code is kept on disk. Numba's own cache does not see a change in a helper of another file and would then run
stale code, so the cache folder is named by the hash of all of rnnlm's sources that have kernels; older folders are
removed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import get_num_threads, prange, set_num_threads

__all__ = ["FASTMATH", "available_threads", "jit", "parallel", "prange", "use_threads"]

# Everything that lets LLVM vectorise sums, except the two flags (nnan, ninf) that would make isfinite() answer
# wrongly.
FASTMATH = {"reassoc", "contract", "nsz", "arcp", "afn"}

_KEEP_DAYS = 30

# Numba sets its options by assignment when it is imported, which a type checker does not see.
_numba_settings: Any = numba.config


def _source_hash() -> str:
    """Of all files that a kernel can come from."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parent.parent
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        # Every file with a kernel names this package; the others change no machine code.
        if b"rnnlm.kernels" in source:
            digest.update(str(path.relative_to(package)).encode())
            digest.update(source)
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rnnlm" / "kernels"


def _choose_cache() -> str:
    """The cache folder: the user's, or a temporary one where that cannot be written (decorating would raise
    there)."""
    for root in (_cache_root(), Path(tempfile.gettempdir()) / f"rnnlm-{os.getuid() if hasattr(os, 'getuid') else 0}"):
        folder = root / _source_hash()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError:
            continue
        _prune(root, folder)
        return str(folder)
    return tempfile.mkdtemp(prefix="rnnlm-")


def _prune(root: Path, current: Path) -> None:
    """Remove the caches of other versions of the sources that nobody has used for a while."""
    try:
        os.utime(current)
        for other in root.iterdir():
            if other != current and time.time() - other.stat().st_mtime > _KEEP_DAYS * 86400:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        pass  # another process prunes at the same time, or the folder is not ours


if not os.environ.get("NUMBA_CACHE_DIR"):
    _numba_settings.CACHE_DIR = _choose_cache()


def jit(function: Callable[..., Any]) -> Any:
    """Compile for one thread."""
    return numba.njit(cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")(function)


def parallel(function: Callable[..., Any]) -> Any:
    """Compile with ``prange`` loops shared out over the threads that `use_threads` set."""
    return numba.njit(cache=True, nogil=True, parallel=True, fastmath=FASTMATH, error_model="numpy")(function)


def available_threads() -> int:
    """Cores that this process may use, as many as Numba can start."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _numba_settings.NUMBA_NUM_THREADS))


def use_threads(threads: int | str) -> int:
    """Run parallel kernels on `threads` threads ("auto": all cores allowed); returns the number in use."""
    wanted = available_threads() if threads == "auto" else min(int(threads), _numba_settings.NUMBA_NUM_THREADS)
    if get_num_threads() != wanted:
        set_num_threads(wanted)
    return wanted
