"""Columns of the table of tokens (TSV), and how a token stands in it.

The defaults of pandas (``read_csv(file, sep="\\t")``), of R (``read.delim(file)``) and of Python's csv
(``csv.reader(file, delimiter="\\t")``) read every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rnnlm.errors import InputError

COLUMNS = {
    "position": "of the token in the text, from 1",
    "line": "of the text, from 1",
    "token": "as the text has it, with the escapes below",
    "is_unk": "1: not in the vocabulary, scored as <unk>; else 0",
    "comparable": "0: scored as <unk> or in lower case, not to be compared with other models' bits; else 1",
    "log_probability": "log y^ of the token, in nats",
    "surprisal_bits": "- log2 y^ of the token, in bits",
    "rank": "of the token in the prediction; 1: no other was more probable",
    "entropy_bits": "of the prediction, - sum y^ log2 y^ over the vocabulary, in bits",
    "alternative": "the most probable token there; the token itself where its rank is 1",
    "alternative_bits": "- log2 y^ of that, in bits",
    "line_position": "of the token in its line, from 1",
}
# These need the whole distribution, all others one probability of it.
DISTRIBUTION = ("rank", "entropy_bits", "alternative", "alternative_bits")
DEFAULT = tuple(name for name in COLUMNS if name not in (*DISTRIBUTION, "line_position"))

# What pandas takes for a missing value, in quotes too; R takes NA.
_MISSING = frozenset((
    "#N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN",
    "None", "n/a", "nan", "null",
))  # fmt: skip


def parse(text: str, columns: Iterable[str] = tuple(COLUMNS)) -> tuple[str, ...]:
    """The columns that ``--columns`` names, with commas between them; "all": every one.

    Args:
        columns: those that there are.

    Raises:
        InputError: there is no such column, or it is named twice.
    """
    columns = tuple(columns)
    if text == "all":
        return columns
    names = tuple(name.strip() for name in text.split(","))
    for i, name in enumerate(names):
        if name not in columns or name in names[:i]:
            found = "found twice" if name in columns else "no such column"
            raise InputError(f"--columns: {name!r}: {found}; there are {', '.join(columns)}, or all")
    return names


def quoted(token: str) -> str:
    """A token as a field of the table.

    It stands in double quotes, a double quote in it doubled. Three things are spelled as Python's escapes: what
    does not show, a backslash, and the first letter of a word that a reader would take for a missing value.
    ``token.encode("latin-1", "backslashreplace").decode("unicode_escape")`` undoes them.
    """
    if token in _MISSING:
        token = f"\\x{ord(token[0]):02x}{token[1:]}"
    elif not token.isprintable() or "\\" in token:
        token = "".join(map(_escaped, token))
    return '"' + token.replace('"', '""') + '"'


def table(records: Iterable[object], names: Iterable[str]) -> Iterator[str]:
    """Records as lines of a table, a header first. names: of their attributes."""
    names = tuple(names)
    yield "\t".join(names) + "\n"
    for record in records:
        values = (getattr(record, name) for name in names)
        cells = (quoted(v) if isinstance(v, str) else repr(int(v) if isinstance(v, bool) else v) for v in values)
        yield "\t".join(cells) + "\n"


def _escaped(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    return character.encode("unicode_escape").decode("ascii")
