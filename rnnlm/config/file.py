"""The YAML file: read with file:line:column in every error, and written.

PyYAML reads ``1e-3`` as a string, ``no`` as False, and passes over a duplicate key. Here the first is a number, the
second a string, and the third is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import AliasChoices, ValidationError

from rnnlm.config import first_format
from rnnlm.config import recipes as resources
from rnnlm.config.base import Section, Sections, Typed, sections
from rnnlm.config.errors import explain, kind
from rnnlm.config.places import Place, compose, note_places
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError

_S = TypeVar("_S", bound=Section)


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of numbers and booleans."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name for it
        first: [
            (tag, regexp) for tag, regexp in resolvers if not tag.endswith((":bool", ":float", ":int", ":timestamp"))
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Dumper(yaml.SafeDumper):
    """Puts quotes around a string that any YAML, 1.1 or ours, would read as something else (``no``, ``1e3``)."""


for _kind_of_yaml in (_Loader, _Dumper):
    _kind_of_yaml.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
    )
    _kind_of_yaml.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
    _kind_of_yaml.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(
            r"^(?:[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+.0123456789"),
    )


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _float(text: str) -> float:
    return float(re.sub(r"^([-+]?)\.(inf|nan)$", r"\1\2", text.lower()))


# What a scalar is, by its tag. PyYAML's own constructors fail inside on what a tag cannot hold (``!!bool x``).
_SCALARS: dict[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:str": str,
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": _float,
    "tag:yaml.org,2002:bool": _truth,
    "tag:yaml.org,2002:null": lambda text: None,
}


# ``section.key=value`` strings, the value in YAML; or keys (dotted, nested, or both) with their values.
Overrides = Sequence[str] | Mapping[str, Any]


def load(path: str | Path | Mapping[str, Any], overrides: Overrides = ()) -> Config:
    """Read a configuration.

    Args:
        path: a YAML file, the name of one of the recipes that come with rnnlm (``quickstart``), or the sections
            themselves.
        overrides: applied in order.

    Raises:
        ConfigError: one line that names the file, line and column (or the override), what was found and what would be
            right.
    """
    if isinstance(path, Mapping):
        values: dict[str, Any] = _plain(path)
        places: dict[Place, str] = {(): "configuration"}
    else:
        values, places = _read(path)
    for name, text, where in _each(overrides):
        _override(values, name, text, where, places)
    config = validate(values, places)
    patience = values.get("train", {}).get("patience")
    if patience is not None and not config.data.has_validation:
        where = places.get(("train", "patience"), places[()])
        raise ConfigError(f"{where}: train.patience: {patience} counts validations; give a validation text, or null")
    return config


def load_section(path: Path, *kinds: type[_S]) -> _S:
    """Read a YAML file that is one section by itself.

    Args:
        kinds: what the section may be; that which has the most of the file's keys is meant, the first of equals.

    Raises:
        ConfigError: as `load`.
    """
    keys = ", ".join([*kinds[0].model_fields][:2])
    values, places = _values_of(path, f"{path}: no such file; give a YAML file", keys)
    section = max(kinds, key=lambda kind: sum(bool(values.keys() & set(names)) for names in _names(kind)))
    try:
        return section.model_validate(values)
    except ValidationError as error:
        # A misspelt key is also a missing one: name the misspelling.
        first = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")[0]
        location = first["loc"]
        known = next(place for stop in range(len(location), -1, -1) if (place := location[:stop]) in places)
        shown = known or location
        wrong = f"found {first['input']!r}; {first['msg'].replace('Input should', 'must')}"
        if first["type"] == "value_error":
            wrong = str(first["ctx"]["error"])
        elif first["type"] == "extra_forbidden":
            wrong = f"unknown key; there are {', '.join(names[0] for names in _names(section))}"
        elif first["type"] == "missing":
            shown, wrong = location, "is not given"
        raise ConfigError(f"{places[known]}: {'.'.join(map(str, shown))}: {wrong}") from None


def _names(section: type[Section]) -> list[list[str]]:
    """The names that each field of a section goes by, the first of them the one to show."""
    fields = section.model_fields.items()
    return [
        [str(one) for one in field.validation_alias.choices]
        if isinstance(field.validation_alias, AliasChoices)
        else [name]
        for name, field in fields
    ]


def _read(path: str | Path) -> tuple[dict[str, Any], dict[Place, str]]:
    """A configuration's content, and where each key stands."""
    path = resources.find("configs", path, ".yaml")
    names = ", ".join(resources.names("configs", ".yaml"))
    missing = f"{path}: no such file; give a YAML file or one of our recipes ({names})"
    values, places = _values_of(path, missing, "data, model")
    if not values:
        raise ConfigError(f"{path}: empty; a configuration needs at least the section data")
    return values, places


def _values_of(path: Path, missing: str, keys: str) -> tuple[dict[str, Any], dict[Place, str]]:
    """A file's content, and where each key stands. missing: the message where there is no such file; keys: some of
    those that there may be."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(missing) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start + 1}; a configuration is UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a YAML file") from None
    try:
        node = compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        advice = "; indent by spaces, not by tabs" if "\\t" in (error.problem or "") else ""
        raise ConfigError(f"{where}: not YAML: {error.problem or error.context}{advice}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    places: dict[Place, str] = {(): f"{path}:1:1"}
    if node is None:
        return {}, places
    places |= note_places(node, str(path))
    values = _values(node, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1:1: found {kind(values)}; must be a mapping of keys ({keys}, ...)")
    return values, places


def validate(values: dict[str, Any], places: dict[Place, str] | None = None) -> Config:
    """Check a plain mapping against the schema; `places` says where each key stands, for the messages.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    places = places or {(): "configuration"}
    first_format.refuse(values, lambda place: places.get(place, places[()]))
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        # A misspelt key is also a missing one: name the misspelling.
        first = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")[0]
        raise ConfigError(explain(first, places)) from None


def dump(config: Section) -> str:
    """A complete configuration, or one section, as YAML in the schema's order."""
    return yaml.dump(
        config.model_dump(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )


def _values(node: yaml.Node, path: str) -> Any:
    """The node as plain mappings, lists and scalars; its keys have been checked by `note_places`."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _values(value, path) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_values(item, path) for item in node.value]
    return _scalar(node, path)


def _scalar(node: yaml.Node, path: str) -> Any:
    text = str(node.value)
    try:
        return _SCALARS[node.tag](text)
    except (KeyError, ValueError):
        line, shown = node.start_mark.line + 1, text if len(text) <= 40 else f"{text[:40]}..."
        if node.tag.endswith(":int") and text.lstrip("+-").isdecimal():  # Python reads no more than 4,300 digits
            raise ConfigError(
                f"{path}: line {line}: found the number {shown}, which has {len(text):,} digits"
            ) from None
        # A tag that we do not read, or a tag on what it cannot hold (!!int word).
        raise ConfigError(
            f"{path}: line {line}: found the tag {node.tag}; plain words and numbers only, not {shown!r} so tagged"
        ) from None


def _each(overrides: Overrides, within: str = "") -> Iterator[tuple[str, str, str]]:
    """The key, the value in YAML, and the place for messages, of every override. A section's type comes before its
    options."""
    if not isinstance(overrides, Mapping):
        for override in overrides:
            name, equals, text = override.partition("=")
            if not equals or not name.strip():
                raise ConfigError(f"--set {override}: write it as section.key=value")
            yield name.strip(), text, f"--set {override}"
        return
    for key, value in sorted(overrides.items(), key=lambda item: item[0] != "type"):
        name = f"{within}.{key}" if within else str(key)
        if isinstance(value, Mapping) and value:
            yield from _each(value, name)
        else:
            text = yaml.dump(_plain(value), Dumper=_Dumper, default_flow_style=True, allow_unicode=True)
            yield name, text, f"overrides: {name}"


def _plain(value: Any) -> Any:
    """A value from Python as what YAML would hold: paths as text, tuples as lists, NumPy's numbers as numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if getattr(value, "ndim", None) == 0:
        return value.item()
    if not isinstance(value, str | int | float | None):
        raise ConfigError(f"configuration: found {value!r}; values are texts, numbers, true, false, null and lists")
    return value


def _override(values: dict[str, Any], name: str, text: str, where: str, places: dict[Place, str]) -> None:
    """Apply an override. A bare name on the way to the key becomes the section that it stands for, and another type
    begins its section anew."""
    *above, key = name.split(".")
    try:
        node = compose(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: the value is not YAML: {' '.join(str(error).split())}") from None
    target = values
    section: type[Section] | None = Config
    types: dict[str, type[Section]] = {}
    place: tuple[str, ...] = ()
    for step in above:
        place = (*place, step)
        taken = sections(section, step)
        child = _as_section(target[step], taken) if step in target else _default(section, step)
        if not isinstance(child, dict):
            raise ConfigError(f"{where}: {'.'.join(place)} is not a section")
        target[step] = target = child
        section, types = taken.section or taken.types.get(str(child.get("type"))), taken.types
    place = (*place, key)
    inside = {} if node is None else note_places(node, where, place)
    value = None if node is None else _values(node, where)
    if "#" in text and (node is None or (isinstance(node, yaml.ScalarNode) and node.style is None)):
        value = text.strip()  # a file's name, and no comment: this is one value, not a file
    if key == "type" and types and value != target.get("type"):
        target.clear()
    for old in [old for old in places if old[: len(place)] == place]:
        del places[old]
    # A section that only the override speaks of stands there too.
    places |= {place[:n]: where for n in range(1, len(place)) if place[:n] not in places}
    places |= {place: where, **inside}
    target[key] = value


def _as_section(value: Any, taken: Sections) -> Any:
    """A value on the way to an option: null and a bare name as the sections that they stand for."""
    if value is None and (taken.section or taken.types):
        return {}
    return taken.shorthand.spell_out(value) if taken.shorthand else value


def _default(section: type[Section] | None, key: str) -> dict[str, Any]:
    """What a section that the file does not have begins as: nothing but the type of its default."""
    field = section.model_fields.get(key) if section is not None else None
    return field.default.model_dump(include={"type"}) if field and isinstance(field.default, Typed) else {}
