"""Writes docs/reference.md from the command line's own help and the configuration's own descriptions:

    python docs/make_reference.py

A test fails when the file is not what this writes.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer.main

from rnnlm.cli import app
from rnnlm.config.base import Section, Sections, Typed, sections
from rnnlm.config.data import WeightedText
from rnnlm.config.schema import Config
from rnnlm.evaluation import columns, item_formats, score_formats
from rnnlm.evaluation.rescoring import formats as rescored
from rnnlm.files.run_folder import MAY_CHANGE

TARGET = Path(__file__).with_name("reference.md")


def reference() -> str:
    """The whole page."""
    lines = [
        "# Reference",
        "",
        "Made by `python docs/make_reference.py`; edit the help texts in the code instead.",
        "",
    ]
    lines += ["## The command line", ""]
    for name, command in _commands(typer.main.get_command(app), "rnnlm"):
        lines += _command(name, command)
    lines += [
        "## The table of tokens",
        "",
        "`rnnlm eval MODEL --per-token FILE` writes a row a token, a tab between two columns. Left out are",
        f"`{'`, `'.join(columns.DISTRIBUTION)}`, which take longest, and `line_position`; `--columns all`",
        "gives them too.",
        "",
        *_table(("column", "meaning"), [(f"`{name}`", meaning) for name, meaning in columns.COLUMNS.items()]),
        "",
        'pandas (`read_csv(FILE, sep="\\t")`), R (`read.delim(FILE)`) and Python',
        '(`csv.reader(file, delimiter="\\t")`) read every row with their defaults. A token stands in double quotes,',
        "a double quote in it doubled. Three things are spelled as Python's escapes: what does not show (`\\n`), a",
        "backslash (`\\\\`), and the first letter of a word that a reader would take for a missing value",
        "(`\\x6eull` for null; nan, NA, None and others). In Python",
        '`token.encode("latin-1", "backslashreplace").decode("unicode_escape")` undoes them.',
        "",
        "## The configuration",
        "",
        "A YAML file with these sections. `--set section.key=value` overrides a key. Where a key takes a section",
        "with a `type`, the bare name of the type is that section with its defaults: `cell: lstm` is",
        "`cell: {type: lstm}`. `rnnlm config show CONFIG` prints every key as it is resolved, and",
        "`rnnlm config schema` the JSON Schema.",
        "",
    ]
    lines += [
        "## The tables of lines and of words",
        "",
        "`rnnlm score MODEL TEXT` writes a row a line, with `--by word` a row a word; `--format jsonl` has the same",
        "names. Numbers have all their digits, texts stand as in the table of tokens. Left out are",
        f"`{'`, `'.join(score_formats.DISTRIBUTION)}`,",
        "of models of words, which take long.",
        "",
        *_table(("column of lines", "meaning"), _meanings(score_formats.LINE_COLUMNS)),
        "",
        *_table(("column of words", "meaning"), _meanings(score_formats.WORD_COLUMNS)),
        "",
        "## The table of rescored hypotheses",
        "",
        "`rnnlm rescore MODEL NBEST` writes a row a hypothesis in the order of the list; jsonl has the same names.",
        "",
        *_table(("column", "meaning"), [(f"`{name}`", meaning) for name, meaning in rescored.COLUMNS.items()]),
        "With `--input-columns` the input is a table of items. Its own columns come first, and a row is a region, or",
        "with `--by word` a word (then all columns of words but `line`, `id` and `word`, which is the table's own).",
        "",
        *_table(("column of regions", "meaning"), _meanings(item_formats.REGION_COLUMNS)),
        "",
    ]
    for name, field in Config.model_fields.items():
        section = sections(Config, name).section
        if section is not None:
            lines += _section(name, section)
        else:
            lines += [f"### {name}", "", f"{field.description}; `{field.default}` by default.", ""]
    lines += [
        "### What may change when a run goes on",
        "",
        "`rnnlm train --resume` takes the configuration that the run began with; only these keys may differ:",
        ", ".join(f"`{key}`" for key in MAY_CHANGE) + ".",
        "",
    ]
    # <unk> and </s> are words here, not HTML.
    return "\n".join(lines).rstrip().replace("<", "&lt;") + "\n"


def _commands(command: Any, name: str) -> list[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        return [(name, command)]
    return [found for child, sub in command.commands.items() for found in _commands(sub, f"{name} {child}")]


def _command(name: str, command: Any) -> list[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [
        parameter for parameter in command.params if parameter.param_type_name == "option" and not parameter.hidden
    ]
    usage = " ".join([name, *(_metavar(argument) for argument in arguments), *["[OPTIONS]"] * bool(options)])
    rows = [(f"`{_metavar(argument)}`", argument.help) for argument in arguments]
    for option in options:
        value = "" if option.is_flag else f" {_metavar(option)}"
        default = "" if option.is_flag or option.default in (None, "") else f" Default: {option.default}."
        rows.append((f"`{', '.join(option.opts)}{value}`", option.help + default))
    lines = [f"### {name}", "", f"    {usage}", "", command.help.strip(), ""]
    return [*lines, *_table(("argument or option", "meaning"), rows), ""] if rows else lines


def _metavar(parameter: Any) -> str:
    """What stands for the value; an argument that may be left out is in brackets."""
    name = str(parameter.metavar or parameter.name.upper())
    return name if parameter.required or parameter.param_type_name == "option" else f"[{name}]"


def _meanings(columns: Mapping[str, score_formats.Column]) -> list[tuple[str, str]]:
    return [(f"`{name}`", column.meaning) for name, column in columns.items()]


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    return [_row(heading), _row(["---"] * len(heading)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    """A line of a table; a | inside a cell is no border."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _section(name: str, section: type[Section]) -> list[str]:
    """A section's table, and those of the sections in it."""
    lines = [f"### {name}", "", (section.__doc__ or "").strip(), ""]
    rows = []
    for key, field in section.model_fields.items():
        if key == "type" and issubclass(section, Typed):
            continue
        taken = sections(section, key)
        default = "required" if field.is_required() else f"`{_yaml(field.default)}`"
        if taken.section or taken.types:
            kind = _sections(taken, default == "`null`")
        else:
            kind = _kind(field.annotation, field.metadata)
        rows.append((f"`{key}`", kind, default, field.description or ""))
    if rows:
        lines += [*_table(("key", "value", "default", "meaning"), rows), ""]
    for key in section.model_fields:
        taken = sections(section, key)
        if taken.section is not None:
            lines += _section(f"{name}.{key}", taken.section)
        for kind, own in taken.types.items():
            lines += _section(f"{name}.{key}: {kind}", own)
    return lines


def _sections(taken: Sections, may_be_null: bool) -> str:
    """What a key that takes a section may be."""
    ways = [f"`{kind}`" for kind in taken.types] or ["a section"]
    if taken.shorthand and taken.section:
        ways.insert(0, "a name" if taken.shorthand.keys == ("type",) else "number")
    return " or ".join([", ".join(ways), *["`null`"] * may_be_null])


def _yaml(value: Any) -> str:
    if isinstance(value, Typed):
        return str(value.model_dump()["type"])
    if isinstance(value, Section):
        return "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value) or '""'


def _kind(annotation: Any, metadata: Any = ()) -> str:
    """A type and its range in words."""
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        base, *extra = get_args(annotation)
        return _kind(base, [m for e in extra for m in getattr(e, "metadata", [e])])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(part) for part in get_args(annotation))
    if origin is list:
        return f"list of {_kind(get_args(annotation)[0])}"
    words = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`", type(None): "`null`"}
    words[WeightedText] = "`{path, weight}`"
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [f"{text} {getattr(m, sign):g}" for m in metadata for sign, text in signs.items() if hasattr(m, sign)]
    return " ".join([words[annotation], *[", ".join(limits)] * bool(limits)])


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
