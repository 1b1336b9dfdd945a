"""Unpacking of an archive's named members, all together or none."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rnnlm.corpora.catalogue.entries import Entry, Source
from rnnlm.corpora.catalogue.files import CHUNK, Records, SourceError, check_space, new_hash
from rnnlm.files.atomic import atomic_write
from rnnlm.work import Progress

# What zipfile, tarfile and gzip raise on a damaged, encrypted or unknown archive.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError, ValueError)


def unpack(entry: Entry, source: Source, address: str, part: Path, folder: Path, wanted: tuple[str, ...]) -> Records:
    """Unpack the members that give the `wanted` files. All of them appear, checked, or none."""
    with ExitStack() as stack:
        with _damage(address):
            members = stack.enter_context(_open_archive(part, source.format))
        names = {file: member for member, file in source.members.items() if file in wanted}
        for member in names.values():
            if member not in members:
                raise SourceError(
                    f"{address}: the archive has no file {member}; it has {', '.join(sorted(members)[:10]) or 'none'}"
                )
        check_space(folder, sum(members[member][0] for member in names.values()))
        for file, member in names.items():
            size, open_member = members[member]
            facts = entry.files[file]
            algorithm, expected = facts.checksum or ("sha256", None)
            digest, done = new_hash(algorithm), 0
            if facts.size not in (None, size):
                raise SourceError(f"{address}: {member} has {size} bytes; expected {facts.size}")
            output = stack.enter_context(atomic_write(folder / file))
            with _damage(address):
                stream = stack.enter_context(open_member())
            while True:
                with _damage(address):
                    chunk = stream.read(CHUNK)
                if not chunk:
                    break
                output.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done > size:
                    break
                yield Progress("unpack", done, size, "bytes")
            if done != size:
                raise SourceError(f"{address}: {member} does not have the {size} bytes that the archive says")
            if expected not in (None, digest.hexdigest()):
                raise SourceError(f"{address}: {member} has {algorithm} {digest.hexdigest()}; expected {expected}")


@contextmanager
def _damage(address: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise SourceError(f"{address}: a damaged archive: {error or type(error).__name__}") from None


Members = dict[str, tuple[int, Callable[[], Any]]]


@contextmanager
def _open_archive(path: Path, kind: str) -> Iterator[Members]:
    """The archive's regular files by path: size in bytes, and a function that opens one. Writes nothing."""
    if kind == "zip":
        with zipfile.ZipFile(path) as zipped:
            files = [info for info in zipped.infolist() if not info.is_dir()]
            yield {info.filename.removeprefix("./"): (info.file_size, partial(zipped.open, info)) for info in files}
    else:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r:") as tarred:
            regular = [info for info in tarred.getmembers() if info.isreg()]
            while stream.read(CHUNK):
                pass  # gzip compares its checksum at the very end, where tarfile does not go
            yield {info.name.removeprefix("./"): (info.size, partial(tarred.extractfile, info)) for info in regular}
