"""Retrieval of a corpus: what is missing, from which address, into which folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

from rnnlm.corpora.catalogue.download import download, forget
from rnnlm.corpora.catalogue.entries import Entry, Facts, Source, find
from rnnlm.corpora.catalogue.files import (
    NOT_KNOWN,
    Records,
    SourceError,
    UnreachableError,
    check,
    check_space,
    disk_error,
    file_hash,
)
from rnnlm.corpora.catalogue.unpacking import unpack
from rnnlm.errors import InputError, ResourceError
from rnnlm.work import Note, Progress


def get(
    name: str, folder: str | Path | None = None, *, entry: Entry | None = None, timeout: float = 30.0
) -> Generator[Progress | Note, None, list[Path]]:
    """Download the corpus `name` into `folder` (None: ``corpora/NAME``) and return the paths of its files.

    What is there already and has the right hash is not downloaded again. A cut download goes on where it
    stopped.

    Args:
        entry: use this entry instead of the catalogue's.
        timeout: seconds without a byte after which a server is given up.

    Raises:
        InputError: no such corpus; `folder` is a file; or a file of that name is there with other content (it is not
            overwritten).
        ResourceError: no address gave a file (the address and the reason); the disk is full or cannot be
            written.
    """
    entry = find(name) if entry is None else entry
    folder = Path("corpora") / name if folder is None else Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is no folder, and one is written; give another name")
    missing = yield from _missing(entry, folder)
    if missing:
        made = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(folder, error) from None
        check_space(folder, _bytes_needed(entry, folder, missing))
    else:
        yield Note(f"{folder}: {name} is already there, nothing to download")
    failures: list[str] = []
    told = 0
    unreachable: set[str] = set()
    for source in entry.sources:
        for address in source.addresses:
            wanted = tuple(file for file in source.gives if file in missing)
            if not wanted or urlsplit(address).netloc in unreachable:
                continue
            if told < len(failures):
                yield Note(f"{failures[-1]}; trying {address}", warning=True)
                told = len(failures)
            try:
                yield from _fetch(entry, source, address, folder, wanted, timeout)
                missing -= set(wanted)
            except SourceError as error:
                failures.append(str(error))
                if isinstance(error, UnreachableError):
                    unreachable.add(urlsplit(address).netloc)
    if missing:
        if made:
            with contextlib.suppress(OSError):  # it has files
                folder.rmdir()
        several = f"{', '.join(sorted(missing))}: {len(failures)} addresses failed; the last: "
        advice = "look at the connection or the proxy" if unreachable else f"see {entry.homepage}"
        raise ResourceError(
            f"{several if len(failures) > 1 else ''}{failures[-1]}; run the command again later, or {advice}"
        )
    return [folder / file for file in entry.files]


def _missing(entry: Entry, folder: Path) -> Generator[Progress | Note, None, set[str]]:
    """The files that are not there; those that are there are checked."""
    missing = set()
    for file, facts in entry.files.items():
        path = folder / file
        if not path.exists():
            missing.add(file)
            continue
        try:
            yield from check(path, str(path), facts)
        except SourceError as error:
            raise InputError(f"{error}; it is left as it is: move it away and run again") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}; move it away and run again") from None
        if facts.checksum is None:
            yield Note(f"{path}: already there, but its hash is not known: not verified", warning=True)
    return missing


def _fetch(
    entry: Entry, source: Source, address: str, folder: Path, wanted: tuple[str, ...], timeout: float
) -> Records:
    """Get one source from one address: download, check, put in place."""
    facts: Facts = entry.files[source.file] if source.file else source
    unproven = [file for file in wanted if facts.checksum is None and entry.files[file].checksum is None]
    if unproven:
        known = NOT_KNOWN if facts.size is None else NOT_KNOWN.replace("size and hash are", "a hash is")
        yield Note(f"{', '.join(unproven)}: {known}", warning=True)
    part = folder / f"{source.download_name}.part"
    yield from download(address, part, facts, timeout)
    try:
        yield from check(part, address, facts)
        if source.file:
            os.replace(part, folder / source.file)
        else:
            yield from unpack(entry, source, address, part, folder, wanted)
    except SourceError as error:
        forget(part)  # going on with these bytes could only fail again
        raise SourceError(f"{error}; the download is thrown away") from None
    except OSError as error:
        raise disk_error(part, error) from None
    forget(part)
    for file in unproven:
        digest = yield from file_hash(folder / file, "sha256")
        yield Note(f"{file}: {(folder / file).stat().st_size} bytes, sha256 {digest}")
    yield Note(f"{folder}: {', '.join(wanted)} from {address}")


def _bytes_needed(entry: Entry, folder: Path, missing: set[str]) -> int:
    """Bytes that the download and the unpacked files take together, as far as sizes are known."""
    needed, left = sum(entry.files[file].size or 0 for file in missing), set(missing)
    for source in entry.sources:
        if left & set(source.gives):
            part = folder / f"{source.download_name}.part"
            got = part.stat().st_size if part.exists() else 0
            needed += (source.size or 0) - got
            left -= set(source.gives)
    return needed
