"""ONNX Runtime for the browser: onnxruntime-web from the npm registry, or a copy of it.

npm itself gets the package, so that its settings (a mirror, a proxy) hold here too, and the user's cache keeps it.
Version and hash are fixed: what npm brings is compared with the hash before anything is read from it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path

from rnnlm import user_cache
from rnnlm.errors import InputError, ResourceError
from rnnlm.work import Note, Task

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
# As the registry and lock files have it: sha512 in base64.
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
# The build for WebAssembly alone (no WebGPU): a module, and the compiled code that it loads.
MODULE, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"

_ARCHIVE = f"{PACKAGE}-{VERSION}.tgz"


def load(copy: Path | None = None) -> Task[dict[str, bytes]]:
    """The contents of `MODULE` and `WASM`, by name.

    Args:
        copy: the package's folder, its ``dist`` folder, or its archive (.tgz); None: from the user's cache, where npm
            puts it first if it is not there.

    Raises:
        InputError: no such copy; it lacks a file or is damaged; npm is not installed.
        ResourceError: npm cannot get the package, or brings another one; no cache can be written.
    """
    if copy is None:
        copy = yield from _cached()
    return _from_folder(copy) if copy.is_dir() else _from_archive(copy)


def _from_folder(folder: Path) -> dict[str, bytes]:
    for place in (folder, folder / "dist", folder / "package" / "dist"):
        if (place / MODULE).is_file():
            return {name: _read(place / name) for name in (MODULE, WASM)}
    raise InputError(f"{folder}: no dist/{MODULE} in this folder; must be that of the npm package {PACKAGE}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; give a whole copy of {PACKAGE}") from None


def _from_archive(path: Path) -> dict[str, bytes]:
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for name in (MODULE, WASM):
                member = archive.extractfile(f"package/dist/{name}")
                found[name] = member.read() if member else b""
    except KeyError:
        raise InputError(f"{path}: no package/dist/{name} in it; must be the npm package {PACKAGE}") from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: a damaged archive: {error}; must be {PACKAGE}'s .tgz or folder") from None
    except OSError as error:  # also what gzip raises
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}; must be {PACKAGE}'s .tgz or folder"
        ) from None
    return found


def _cached() -> Task[Path]:
    """The archive in the user's cache, verified."""
    root = user_cache.folder("web")
    if root is None:
        raise ResourceError("no cache folder can be written; set XDG_CACHE_HOME to one, or give a copy by --runtime")
    path = root / _ARCHIVE
    if not path.is_file() or _integrity(path) != INTEGRITY:
        yield Note(f"downloading {PACKAGE} {VERSION} by npm (33 MB, once)")
        with tempfile.TemporaryDirectory(dir=root) as folder:
            packed = _pack(Path(folder))
            found = _integrity(packed)
            if found != INTEGRITY:
                raise ResourceError(f"{_ARCHIVE} from npm: has {found}; expected {INTEGRITY}; look at npm's registry")
            os.replace(packed, path)
    user_cache.touch(path)
    user_cache.prune(root)
    return path


def _pack(folder: Path) -> Path:
    """The archive of the package, downloaded into `folder` by npm."""
    npm = shutil.which("npm")
    advice = f"or give a copy of {PACKAGE}@{VERSION} by --runtime"
    if npm is None:
        raise InputError(f"npm, which gets {PACKAGE}, is not installed; install npm (Node.js), {advice}")
    # Left alone, npm waits for more than a minute where there is no network.
    retries = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder), "--loglevel=error", *retries]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (folder / _ARCHIVE).is_file():
        raise ResourceError(
            f"npm cannot get {PACKAGE} {VERSION}: {_reason(done.stderr)}; look at the connection, {advice}"
        )
    return folder / _ARCHIVE


def _reason(errors: str) -> str:
    """What npm complains of: its first line that is more than an error's code."""
    found = re.search(
        r"^npm (?:error|ERR!) (?!code |errno |syscall )(?:network |notarget |\w+: )?(\S.*)", errors, re.M
    )
    return found[1].rstrip(".") if found else "it gives no reason"


def _integrity(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha512-{base64.b64encode(hashlib.file_digest(file, 'sha512').digest()).decode()}"
