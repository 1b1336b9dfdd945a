"""Split of one text into training, validation and test text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import TextError
from rnnlm.files.atomic import atomic_write
from rnnlm.text import files, tokenizers
from rnnlm.work import Note, Task


def cut(path: Path, shares: list[float], unit: str, folder: Path, encoding: str = UTF_8) -> Task[None]:
    """Cut one text by characters (bytes for the unit byte; words and subwords: at the next line end) into
    ``train.txt``, ``valid.txt`` and ``test.txt`` of a folder; where a share is 0, there is no file. They are in
    UTF-8, whatever the text's `encoding` is.

    Raises:
        TextError: the text is so short, or of so few lines, that a part would be empty.
    """
    total = sum(len(part) for part in _parts(path, unit, encoding))
    if total == 0:
        raise TextError(f"{path}: empty; give a text with at least one token")
    last = max(number for number, share in enumerate(shares) if share > 0)
    # The sums of the shares are off by rounding: 0.7 + 0.2 of ten characters are nine.
    ends = [total if i >= last else int(total * sum(shares[: i + 1]) + 1e-9) for i in range(len(shares))]
    parts = _parts(path, unit, encoding)
    rest: Any = b"" if unit == "byte" else ""
    newline: Any = b"\n" if unit == "byte" else "\n"
    whole_lines = tokenizers.ends_lines(unit)
    position = 0
    for number, (name, end) in enumerate(zip(("train", "valid", "test"), ends, strict=False)):
        if shares[number] == 0:
            continue
        if end <= position:
            lines = " or with more lines" if whole_lines else ""
            raise TextError(
                f"{path}: data.split leaves nothing for {name}; give a longer text{lines}, or other shares"
            )
        with atomic_write(folder / f"{name}.txt") as file:
            while position < end:
                rest = rest or next(parts)
                piece = rest[: end - position]
                rest = rest[len(piece) :]
                position += len(piece)
                if whole_lines and position == end and not piece.endswith(newline) and end < total:
                    # A line is never cut: go on to its end.
                    rest = rest or next(parts)
                    found = rest.find(newline)
                    end = min(total, position + (found + 1 if found >= 0 else len(rest) + 1))
                file.write(piece if unit == "byte" else piece.encode("utf-8"))
    yield Note(f"{path}: cut by data.split")


def _parts(path: Path, unit: str, encoding: str) -> Iterator[Any]:
    if unit == "byte":
        yield from (block.data for block in files.blocks(path))
    else:
        yield from (text for text, _ in files.characters(path, encoding) if text)
