"""The cache of prepared texts: cut texts, texts of grammars, vocabularies, encoded corpora.

Whatever lies there is named by the hash of what it was made of, in a folder named by the hash of the sources that
made it. So all runs share it, and none can find another's.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from rnnlm import user_cache
from rnnlm.work import Task

# A few large corpora; the oldest go first.
_MOST_BYTES = 8e9


@functools.cache
def folder() -> Path:
    """The folder of prepared texts; one for this process alone where the user's cache cannot be written."""
    root = user_cache.folder("texts")
    if root is None:
        found = Path(tempfile.mkdtemp(prefix="rnnlm-"))
        atexit.register(shutil.rmtree, found, ignore_errors=True)
        return found
    found = root / user_cache.source_hash("text", "corpora")
    found.mkdir(exist_ok=True)
    user_cache.touch(found)
    user_cache.prune(root)
    user_cache.prune(found, _MOST_BYTES)
    return found


def key(*made_of: object) -> str:
    """A name for what is made of these: 32 hexadecimal digits of sha256."""
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]


def texts(name: str, write: Callable[[Path], Task[None]]) -> Task[Path]:
    """The folder of that name in the cache; `write` fills a new one, which takes its place when it is whole."""
    path = folder() / name
    if path.is_dir():
        user_cache.touch(path)
        return path
    beside = folder() / f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        yield from write(beside)
        try:
            os.rename(beside, path)
        except OSError:
            if not path.is_dir():  # else another process was quicker, with the same texts
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return path
