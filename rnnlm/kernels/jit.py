"""The one place that knows Numba's options.

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


def cache_folder() -> str:
    """Where compiled code is kept."""
    return str(_numba_settings.CACHE_DIR)


def jit(function: Callable[..., Any]) -> Any:
    """Compile, without Python's lock while it runs; ``kernels.team`` runs such functions on several threads.

    A kernel takes in every such function that it calls (`forceinline`). Otherwise LLVM would take in some and call
    the others by a name that stands in the kernel's code and also, in the process that compiled it, alone. The two
    are optimised differently and round their sums differently, so a process that compiles would end with other bytes
    than one that reads the cache.
    """
    compiled: Any = numba.njit(cache=True, nogil=True, forceinline=True, fastmath=FASTMATH, error_model="numpy")(
        function
    )
    by_type = compiled.get_call_template

    def without_literals(args: Any, kws: Any) -> Any:
        """A call with a constant is a call with a number: Numba would compile the function anew for each constant."""
        plain = {name: numba.types.unliteral(kind) for name, kind in kws.items()}
        return by_type(tuple(numba.types.unliteral(kind) for kind in args), plain)

    compiled.get_call_template = without_literals
    return compiled
