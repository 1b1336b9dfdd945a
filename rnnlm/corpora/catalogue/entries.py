"""Entries of the catalogue: reading, finding and listing them."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from rnnlm.config import recipes as resources
from rnnlm.config.places import Place, note_places
from rnnlm.config.schema import Section
from rnnlm.errors import InputError

_COUNTED_IN = {"word": "words", "char": "characters", "byte": "bytes"}
Count = Annotated[int, Field(ge=0)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Facts(Section):
    """Size and hashes of a file; None: not known, not checked."""

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


def load(path: str | Path | None = None) -> dict[str, Entry]:
    """The catalogue's entries by name; `path` None: the one that comes with rnnlm.

    Raises:
        InputError: one line with file, line and column, what was found and what would be right.
    """
    path = resources.folder("corpora") / "catalogue.yaml" if path is None else Path(path)
    places: dict[Place, str] = {(): f"{path}:1:1"}
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise InputError(
                f"{path}:1:1: a catalogue is a mapping from corpus names to entries; found something else"
            )
        places |= note_places(node, str(path))
        return _CATALOGUE.validate_python(yaml.safe_load(text))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a catalogue file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start + 1}; a catalogue is UTF-8 text") from None
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


@dataclass(frozen=True)
class Listing:
    """A line of ``rnnlm corpus list``. `size`: bytes to download, None: not known; `splits`: the canonical
    counts."""

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
    """All corpora of the catalogue, and whether their files are in `root`/NAME (by size where known, not by
    hash)."""
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
