"""Files of rows with named fields: TSV with a header, or JSONL, each plain or gzip."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import TextError
from rnnlm.text import files
from rnnlm.text.lines import lines

# A row, with FILE:LINE before it for messages.
Row = tuple[str, dict[str, object]]

_QUOTED = re.compile('"((?:[^"]|"")*)"')


def ending(path: Path) -> str:
    """Of the file's name, ``.gz`` behind it left out."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def objects(path: Path, encoding: str = UTF_8) -> Iterator[Row]:
    """The objects of a JSONL file.

    Raises:
        TextError: the file cannot be read; a line is no JSON object.
    """
    for block in lines(path, "word", encoding):
        for line in block:
            where = f"{files.name(path)}:{line.number}"
            if not line.text.strip():
                raise TextError(f"{where}: an empty line; each line is a JSON object")
            try:
                row = json.loads(line.text)
            except (ValueError, RecursionError) as error:
                raise TextError(f"{where}: no JSON: {error}") from None
            if not isinstance(row, dict):
                raise TextError(f"{where}: found {line.text[:40]}; each line is a JSON object")
            yield where, row


def table(path: Path, encoding: str = UTF_8) -> Iterator[Row]:
    """The rows below the header of a TSV file.

    A field in double quotes in which every other double quote is doubled, as pandas, R and ``evaluation.columns``
    write a text, is read without them. Any other field is what stands between its tabs.

    Raises:
        TextError: the file cannot be read; two columns have one name; a row has not as many columns as the header.
    """
    header: list[str] | None = None
    for block in lines(path, "word", encoding):
        for line in block:
            where, cells = f"{files.name(path)}:{line.number}", [_unquoted(cell) for cell in line.text.split("\t")]
            if header is None:
                header = cells
                if twice := {name for name in header if header.count(name) > 1}:
                    raise TextError(f"{where}: the column {min(twice)!r} is there twice; each has a name of its own")
            elif len(cells) != len(header):
                raise TextError(f"{where}: {len(cells)} columns, where the header has {len(header)}")
            else:
                yield where, dict(zip(header, cells, strict=True))


def _unquoted(cell: str) -> str:
    found = _QUOTED.fullmatch(cell)
    return cell if found is None else found[1].replace('""', '"')


def text_field(row: dict[str, object], names: Sequence[str], where: str) -> str:
    """The first of these fields that is there.

    Raises:
        TextError: none is, or it is no text of one line.
    """
    name = _found(row, names, where)
    if not isinstance(value := row[name], str):
        raise TextError(f"{where}: {name}: found {value!r}; must be a text")
    if "\n" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise TextError(f"{where}: {name}: found {value!r}; must be one line of Unicode")
    return value


def number_field(row: dict[str, object], name: str, where: str) -> float:
    """A field that is a number, or a text that spells one.

    Raises:
        TextError: it is not there, or no finite number.
    """
    return number(row[_found(row, (name,), where)], f"{where}: {name}")


def number(value: object, where: str) -> float:
    """A finite number, or the one that a text spells.

    Raises:
        TextError: it is none.
    """
    # Python takes more for a number: 1_0, and the digits of every script.
    spelled = not isinstance(value, str) or (value.isascii() and "_" not in value)
    try:
        found = float(value) if spelled and not isinstance(value, bool) else math.nan  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if math.isfinite(found):
        return found
    raise TextError(f"{where}: found {value!r}; must be a number")


def _found(row: dict[str, object], names: Sequence[str], where: str) -> str:
    for name in names:
        if name in row:
            return name
    raise TextError(f"{where}: there is no {' or '.join(names)}; there are {', '.join(row)}")
