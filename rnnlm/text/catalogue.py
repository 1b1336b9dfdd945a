"""Public corpora by address: ``corpora/catalogue.yaml``, and getting one of them whole or not at all.

A download goes to ``NAME.part`` beside its place, with what the server said of it (address, ETag, date, length) in
``NAME.part.json``, so that a cut download goes on where it stopped: HTTP Range with If-Range (RFC 9110, sections
13.1.5 and 14.2). A file that changed meanwhile is fetched from its start. Size and hash are checked before anything
stands under its final name; of an archive only the members that the catalogue names are unpacked, all together.

From top to bottom: the schema, reading the catalogue, listing it, getting a corpus, one HTTP download, unpacking.
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import http.client
import json
import os
import re
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from rnnlm import __version__, resources
from rnnlm.config import Section
from rnnlm.errors import InputError, ResourceError
from rnnlm.records import Note, Progress
from rnnlm.storage import atomic_write

Records = Generator[Progress | Note, None, None]

_CHUNK = 1 << 18
_UNKNOWN = "size and hash are not known for this file: not verified"
_COUNTED_IN = {"word": "words", "char": "characters", "byte": "bytes"}

Count = Annotated[int, Field(ge=0)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _SourceError(ResourceError):
    """One address did not give what was wanted; another one may."""


class _UnreachableError(_SourceError):
    """The server itself did not answer: its other addresses need not be tried."""


# The schema ---------------------------------------------------------------------------------------------------------


class Facts(Section):
    """What is known of a file's bytes; None: not known, not checked."""

    size: Count | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    sha1: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    md5: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None = None

    @property
    def checksum(self) -> tuple[str, str] | None:
        """The strongest hash known, as (algorithm, hexadecimal digits)."""
        known = (("sha256", self.sha256), ("sha1", self.sha1), ("md5", self.md5))
        return next(((algorithm, digest) for algorithm, digest in known if digest), None)


class Source(Facts):
    """One download: a plain file or an archive, at addresses that mirror the same bytes."""

    format: Literal["plain", "zip", "tar.gz"]
    addresses: Annotated[list[Annotated[str, Field(pattern=r"^(https?|file)://\S+$")]], Field(min_length=1)]
    file: FileName | None = None
    members: dict[str, FileName] = Field(default_factory=dict)

    @model_validator(mode="after")
    def format_fits(self) -> Self:
        if self.format == "plain" and (self.file is None or self.members):
            raise ValueError("a plain source names one file, and no members")
        if self.format == "plain" and (self.checksum or self.size is not None):
            raise ValueError("the size and hash of a plain file stand under files, not here")
        if self.format != "plain" and (self.file or not self.members):
            raise ValueError(f"a {self.format} source names its members, and no file")
        for member in self.members:
            if member.startswith("/") or "\\" in member or ".." in member.split("/"):
                raise ValueError(f"the member {member!r} leads out of the archive")
        return self

    @property
    def gives(self) -> tuple[str, ...]:
        """The names of the files that come out of it."""
        return (self.file,) if self.file else tuple(self.members.values())

    @property
    def download_name(self) -> str:
        name = self.file or unquote(urlsplit(self.addresses[0]).path)
        return re.sub(r"[^A-Za-z0-9._-]", "_", name.rsplit("/", 1)[-1]) or "download"


class Split(Section):
    """The canonical counts of one split: words and lines, or characters, or bytes."""

    file: FileName
    words: Count | None = None
    lines: Count | None = None
    characters: Count | None = None
    bytes: Count | None = None

    @property
    def tokens(self) -> int:
        """Tokens that papers score: words and one </s> a line, or characters, or bytes."""
        return sum(count or 0 for count in (self.words, self.lines, self.characters, self.bytes))


class Entry(Section):
    """One corpus."""

    title: str
    homepage: str
    licence: str
    unit: Literal["word", "char", "byte"]
    vocabulary: Annotated[int, Field(ge=1)]
    splits: dict[Literal["train", "valid", "test"], Split]
    files: Annotated[dict[FileName, Facts], Field(min_length=1)]
    sources: list[Source]

    @model_validator(mode="after")
    def complete(self) -> Self:
        if "train" not in self.splits:
            raise ValueError("splits must have train")
        given = {file for source in self.sources for file in source.gives}
        for file in self.files:
            if file not in given:
                raise ValueError(f"no source gives the file {file}")
        for file in sorted(given | {split.file for split in self.splits.values()}):
            if file not in self.files:
                raise ValueError(f"the file {file} is not under files")
        wanted = {"file", _COUNTED_IN[self.unit], *(["lines"] if self.unit == "word" else [])}
        for name, split in self.splits.items():
            if split.model_dump(exclude_none=True).keys() != wanted:
                raise ValueError(
                    f"splits.{name} must have {', '.join(sorted(wanted))} (unit: {self.unit}) and no other count"
                )
        return self

    @property
    def download_size(self) -> int | None:
        """Bytes that a download moves when the first addresses work; None where a size is not known."""
        total, left = 0, set(self.files)
        for source in self.sources:
            if left & set(source.gives):
                size = self.files[source.file].size if source.file else source.size
                if size is None:
                    return None
                total, left = total + size, left - set(source.gives)
        return total


_CATALOGUE = TypeAdapter(dict[Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$")], Entry])


# Reading it ---------------------------------------------------------------------------------------------------------


def load(path: str | Path | None = None) -> dict[str, Entry]:
    """The catalogue's entries by name; `path` None: the one that comes with rnnlm.

    Raises:
        InputError: one line with file, line and column, what was found and what would be right.
    """
    path = resources.folder("corpora") / "catalogue.yaml" if path is None else Path(path)
    places: dict[tuple[str | int, ...], str] = {(): f"{path}:1:1"}
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise InputError(
                f"{path}:1:1: a catalogue is a mapping from corpus names to entries; found something else"
            )
        _note_places(node, (), str(path), places)
        return _CATALOGUE.validate_python(yaml.safe_load(text))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a catalogue file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; a catalogue is UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"{where}: not YAML: {' '.join(problem.split())}") from None
    except ValidationError as error:
        # A misspelt key is also a missing one: name the misspelling.
        first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        place = first["loc"]
        while place not in places:
            place = place[:-1]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]") or "catalogue"
        found = "" if isinstance(first["input"], dict | list) else f"found {first['input']!r}; "
        message = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
        raise InputError(f"{places[place]}: {key}: {found}{message}") from None


def _note_places(
    node: yaml.Node, place: tuple[str | int, ...], path: str, places: dict[tuple[str | int, ...], str]
) -> None:
    """Note where every key stands; refuse a key that stands twice, which PyYAML passes over."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            where = f"{path}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
            inner = (*place, str(key.value))
            if inner in places:
                raise InputError(f"{where}: {'.'.join(map(str, inner))}: the key stands here twice; keep one")
            places[inner] = where
            _note_places(value, inner, path, places)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            places[(*place, index)] = f"{path}:{item.start_mark.line + 1}:{item.start_mark.column + 1}"
            _note_places(item, (*place, index), path, places)


def find(name: str, path: str | Path | None = None) -> Entry:
    """The entry called `name`.

    Raises:
        InputError: there is none; names the nearest and all.
    """
    entries = load(path)
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), entries, 1, 0.5)
    advice = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"{name}: no such corpus{advice}; the corpora are {', '.join(entries)}")


# Listing it ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listing:
    """A line of ``rnnlm corpus list``. `size`: bytes to download, None: not known; `splits`: the canonical counts."""

    name: str
    title: str
    unit: str
    size: int | None
    vocabulary: int
    splits: dict[str, Split]
    licence: str
    homepage: str
    folder: Path
    present: bool


def describe(root: str | Path = "corpora", path: str | Path | None = None) -> list[Listing]:
    """All corpora of the catalogue, and whether their files are in `root`/NAME (by size where known, not by hash)."""
    listings = []
    for name, entry in load(path).items():
        folder = Path(root) / name
        present = all(_looks_present(folder / file, facts) for file, facts in entry.files.items())
        counts: dict[str, Split] = {split: count for split, count in entry.splits.items()}
        listings.append(
            Listing(
                name=name,
                title=entry.title,
                unit=entry.unit,
                size=entry.download_size,
                vocabulary=entry.vocabulary,
                splits=counts,
                licence=entry.licence,
                homepage=entry.homepage,
                folder=folder,
                present=present,
            )
        )
    return listings


def _looks_present(path: Path, facts: Facts) -> bool:
    try:
        return path.is_file() and facts.size in (None, path.stat().st_size)
    except OSError:
        return False


# Getting a corpus ---------------------------------------------------------------------------------------------------


def get(
    name: str, folder: str | Path | None = None, *, entry: Entry | None = None, timeout: float = 30.0
) -> Generator[Progress | Note, None, list[Path]]:
    """Download the corpus `name` into `folder` (None: ``corpora/NAME``) and return the paths of its files.

    What is there already and has the right hash is not downloaded again. A cut download goes on where it stopped.

    Args:
        entry: use this entry instead of the catalogue's.
        timeout: seconds without a byte after which a server is given up.

    Raises:
        InputError: no such corpus; or a file of that name is there with other content (it is not overwritten).
        ResourceError: no address gave a file (the address and the reason); the disk is full or cannot be written.
    """
    entry = find(name) if entry is None else entry
    folder = Path("corpora") / name if folder is None else Path(folder)
    missing = yield from _missing(entry, folder)
    if missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _disk_error(folder, error) from None
        _check_space(folder, _bytes_needed(entry, folder, missing))
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
            except _SourceError as error:
                failures.append(str(error))
                if isinstance(error, _UnreachableError):
                    unreachable.add(urlsplit(address).netloc)
    if missing:
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
            yield from _check(path, str(path), facts)
        except _SourceError as error:
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
        known = _UNKNOWN if facts.size is None else _UNKNOWN.replace("size and hash are", "a hash is")
        yield Note(f"{', '.join(unproven)}: {known}", warning=True)
    part = folder / f"{source.download_name}.part"
    yield from _download(address, part, facts, timeout)
    try:
        yield from _check(part, address, facts)
        if source.file:
            os.replace(part, folder / source.file)
        else:
            yield from _unpack(entry, source, address, part, folder, wanted)
    except _SourceError as error:
        _forget(part)  # going on with these bytes could only fail again
        raise _SourceError(f"{error}; the download is thrown away") from None
    except OSError as error:
        raise _disk_error(part, error) from None
    _forget(part)
    for file in unproven:
        digest = yield from _hash(folder / file, "sha256")
        yield Note(f"{file}: {(folder / file).stat().st_size} bytes, sha256 {digest}")
    yield Note(f"{folder}: {', '.join(wanted)} from {address}")


def _check(path: Path, label: str, facts: Facts) -> Records:
    """Hold a file against what is known of it.

    Raises:
        _SourceError: its size or hash is another; names both.
    """
    size = path.stat().st_size
    if facts.size is not None and size != facts.size:
        raise _SourceError(f"{label}: has {size} bytes; expected {facts.size}")
    if facts.checksum is not None:
        algorithm, expected = facts.checksum
        found = yield from _hash(path, algorithm)
        if found != expected:
            raise _SourceError(f"{label}: has {algorithm} {found}; expected {expected}")


def _hash(path: Path, algorithm: str) -> Generator[Progress | Note, None, str]:
    digest, done, total = _digest(algorithm), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK * 4):
            digest.update(chunk)
            done += len(chunk)
            yield Progress("check", done, total, "bytes")
    return digest.hexdigest()


def _digest(algorithm: str) -> Any:
    # Against damage, not against an attacker, where only md5 or sha1 was published.
    return hashlib.new(algorithm, usedforsecurity=False)


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


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ResourceError(
            f"{folder}: needs {needed} bytes, the disk has {free} free; free space or choose another folder"
        )


def _disk_error(path: Path, error: OSError) -> ResourceError:
    return ResourceError(f"{path}: cannot be written: {error.strerror or error}; choose another folder or free space")


# One HTTP download --------------------------------------------------------------------------------------------------


def _opener() -> urllib.request.OpenerDirector:
    """urllib's own, with proxies from the environment, for http, https and file alone (also after a redirect)."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.FileHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _download(address: str, part: Path, facts: Facts, timeout: float) -> Records:
    """Bring `part` to its full length.

    Raises:
        _SourceError: the address gave an error, another size or fewer bytes; what came is kept.
    """
    state = _read_state(part)
    offset = part.stat().st_size if state.get("address") == address and part.exists() else 0
    length = facts.size if facts.size is not None else state.get("total")
    if offset and offset == length:
        return  # cut after its last byte, before it was checked
    if offset and length is not None and offset > length:
        offset = 0
    with ExitStack() as stack:
        if offset:
            response = stack.enter_context(_open(address, part, timeout, _range_headers(offset, state)))
            if _continues(response, offset, state):
                yield Note(f"{address}: going on from byte {offset}")
            else:
                yield Note(f"{address}: the server sends another file or no parts of one: starting again")
                if response.status != 200:
                    response.close()
                    response = stack.enter_context(_open(address, part, timeout, {}))
                offset = 0
        else:
            response = stack.enter_context(_open(address, part, timeout, {}))
        yield from _receive(response, address, part, facts, offset, timeout)


def _receive(response: Any, address: str, part: Path, facts: Facts, offset: int, timeout: float) -> Records:
    """Write the body of `response` to `part` from byte `offset` on."""
    headers = response.headers
    body = headers.get("Content-Length")
    total = offset + int(body) if body and body.isdigit() else None
    if facts.size is not None and total not in (None, facts.size):
        raise _SourceError(f"{address}: has {total} bytes; expected {facts.size}")
    expected = facts.size if total is None else total
    if expected is not None:
        _check_space(part.parent, expected - offset)
    state = {
        "address": address,
        "etag": headers.get("ETag"),
        "modified": headers.get("Last-Modified"),
        "total": expected,
    }
    got = told = offset
    try:
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            _state_path(part).write_text(json.dumps(state), encoding="utf-8")
            yield Progress("download", got, expected, "bytes")
            while True:
                chunk, failure = _read(response, timeout)
                file.write(chunk)
                got += len(chunk)
                done = not chunk or bool(failure) or (expected is not None and got > expected)
                if done or got - told >= _CHUNK:
                    yield Progress("download", got, expected, "bytes")
                    told = got
                if done:
                    break
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _disk_error(part, error) from None
    if expected is not None and got > expected:
        _forget(part)
        raise _SourceError(f"{address}: sends more than the {expected} bytes that were expected")
    if failure or (expected is not None and got < expected):
        of = "" if expected is None else f" of {expected}"
        why = f" ({failure})" if failure else ""
        raise _SourceError(f"{address}: the connection ended after {got}{of} bytes{why}{_kept(part)}")


def _read(response: Any, timeout: float) -> tuple[bytes, str]:
    """The next bytes of the body, and why there will be no more ("": there may be)."""
    try:
        return response.read1(_CHUNK), ""  # read() would lose what came before a timeout
    except http.client.IncompleteRead as error:
        return error.partial, "cut short"
    except (OSError, http.client.HTTPException) as error:
        return b"", _reason(error, timeout)


def _open(address: str, part: Path, timeout: float, headers: dict[str, str]) -> Any:
    """The response; 416 (nothing beyond that byte) is one too."""
    standard = {"User-Agent": f"rnnlm/{__version__}", "Accept-Encoding": "identity"}
    try:
        return _opener().open(urllib.request.Request(address, headers=standard | headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and headers:
            return error
        error.close()
        raise _SourceError(f"{address}: the server answers {error.code} {error.reason}{_kept(part)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _UnreachableError(f"{address}: {_reason(error, timeout)}{_kept(part)}") from None


def _reason(error: Exception, timeout: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout:g} s"
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)


def _kept(part: Path) -> str:
    got = part.stat().st_size if part.exists() else 0
    return f"; {part} keeps {got} bytes, from which the next run goes on" if got else ""


def _range_headers(offset: int, state: dict[str, Any]) -> dict[str, str]:
    """Ask for the rest, provided the file is the same; a weak ETag (W/) says nothing of bytes and must stay away."""
    etag = state.get("etag")
    validator = etag if etag and not etag.startswith("W/") else state.get("modified")
    return {"Range": f"bytes={offset}-"} | ({"If-Range": validator} if validator else {})


def _continues(response: Any, offset: int, state: dict[str, Any]) -> bool:
    """Whether the response is the rest, from byte `offset` on, of the file that was begun.

    A server may honour Range and overlook If-Range, so what it says of the file is compared here too. With nothing to
    compare but the length, the hash decides at the end.
    """
    if response.status != 206:
        return False
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not match or int(match[1]) != offset:
        return False
    total = None if match[3] == "*" else int(match[3])
    now = {"etag": response.headers.get("ETag"), "modified": response.headers.get("Last-Modified"), "total": total}
    return all(state.get(key) is None or value is None or state[key] == value for key, value in now.items())


def _state_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_state(part: Path) -> dict[str, Any]:
    try:
        state = json.loads(_state_path(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    texts = ("address", "etag", "modified")
    if not isinstance(state, dict) or not all(isinstance(state.get(key), str | None) for key in texts):
        return {}
    return state if isinstance(state.get("total"), int | None) else {}


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_path(part).unlink(missing_ok=True)


# Unpacking ----------------------------------------------------------------------------------------------------------

# What zipfile, tarfile and gzip raise on a damaged, encrypted or unknown archive.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError, ValueError)


def _unpack(entry: Entry, source: Source, address: str, part: Path, folder: Path, wanted: tuple[str, ...]) -> Records:
    """Unpack the members that give the `wanted` files. All of them appear, checked, or none."""
    with ExitStack() as stack:
        with _damage(address):
            members = stack.enter_context(_open_archive(part, source.format))
        names = {file: member for member, file in source.members.items() if file in wanted}
        for member in names.values():
            if member not in members:
                raise _SourceError(
                    f"{address}: the archive has no file {member}; it has {', '.join(sorted(members)[:10]) or 'none'}"
                )
        _check_space(folder, sum(members[member][0] for member in names.values()))
        for file, member in names.items():
            size, open_member = members[member]
            facts = entry.files[file]
            algorithm, expected = facts.checksum or ("sha256", None)
            digest, done = _digest(algorithm), 0
            if facts.size not in (None, size):
                raise _SourceError(f"{address}: {member} has {size} bytes; expected {facts.size}")
            output = stack.enter_context(atomic_write(folder / file))
            with _damage(address):
                stream = stack.enter_context(open_member())
            while True:
                with _damage(address):
                    chunk = stream.read(_CHUNK)
                if not chunk:
                    break
                output.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done > size:
                    break
                yield Progress("unpack", done, size, "bytes")
            if done != size:
                raise _SourceError(f"{address}: {member} does not have the {size} bytes that the archive says")
            if expected not in (None, digest.hexdigest()):
                raise _SourceError(f"{address}: {member} has {algorithm} {digest.hexdigest()}; expected {expected}")


@contextmanager
def _damage(address: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise _SourceError(f"{address}: a damaged archive: {error or type(error).__name__}") from None


Members = dict[str, tuple[int, Callable[[], Any]]]


@contextmanager
def _open_archive(path: Path, kind: str) -> Iterator[Members]:
    """The archive's regular files by path: size in bytes, and a function that opens one. Writes nothing anywhere."""
    if kind == "zip":
        with zipfile.ZipFile(path) as zipped:
            files = [info for info in zipped.infolist() if not info.is_dir()]
            yield {info.filename.removeprefix("./"): (info.file_size, partial(zipped.open, info)) for info in files}
    else:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r:") as tarred:
            regular = [info for info in tarred.getmembers() if info.isreg()]
            while stream.read(_CHUNK):
                pass  # gzip compares its checksum at the very end, where tarfile does not go
            yield {info.name.removeprefix("./"): (info.size, partial(tarred.extractfile, info)) for info in regular}
