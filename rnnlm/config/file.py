"""YAML -> Config, with file:line:column in every error; Config -> YAML.

PyYAML reads ``1e-3`` as a string, ``no`` as False, and passes over a duplicate key. Here the first is a number, the
second a string, and the third is refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from rnnlm.config import recipes as resources
from rnnlm.config.places import Place, note_places
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError


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
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(str(node.value)))
_Loader.add_constructor(
    "tag:yaml.org,2002:float",
    lambda loader, node: float(re.sub(r"^([-+]?)\.(inf|nan)$", r"\1\2", str(node.value).lower())),
)


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file.

    Args:
        path: a YAML file, or the name of one of the recipes that come with rnnlm (``quickstart``).
        overrides: ``section.key=value`` strings, the value in YAML, applied in order.

    Raises:
        ConfigError: one line that names the file, line and column (or the override), what was found and what would be
            right.
    """
    path = resources.find("configs", path, ".yaml")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = ", ".join(resources.names("configs", ".yaml"))
        raise ConfigError(f"{path}: no such file; give a YAML file or one of our recipes ({names})") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; a configuration is UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a YAML file") from None
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    places: dict[Place, str] = {(): f"{path}:1:1"}
    if node is None:
        raise ConfigError(f"{path}: empty; a configuration needs at least the section data")
    places |= note_places(node, str(path))
    values = _values(node, str(path))
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}:1:1: found {_kind(values)}; a configuration is a mapping of sections (data, model, ...)"
        )
    for override in overrides:
        _override(values, override, places)
    return validate(values, places)


def validate(values: dict[str, Any], places: dict[Place, str] | None = None) -> Config:
    """Check a plain mapping against the schema; `places` says where each key stands, for the messages.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        # A misspelt key is also a missing one: name the misspelling.
        first = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")[0]
        raise ConfigError(_explain(first, places or {(): "configuration"})) from None


def dump(config: Config) -> str:
    """The complete configuration as YAML, in the schema's order."""
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
    loader = _Loader("")
    try:
        return loader.construct_object(node)
    except (yaml.constructor.ConstructorError, ValueError):
        # A tag that we do not read, or a tag on what it cannot hold (!!int word).
        line, value = node.start_mark.line + 1, str(node.value)[:40]
        raise ConfigError(
            f"{path}: line {line}: found the tag {node.tag}; plain words and numbers only, not {value!r} so tagged"
        ) from None
    finally:
        loader.dispose()


def _override(values: dict[str, Any], override: str, places: dict[Place, str]) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {override}: write it as section.key=value")
    *sections, key = name.strip().split(".")
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML: {' '.join(str(error).split())}") from None
    target = values
    place: tuple[str, ...] = ()
    for section in sections:
        place = (*place, section)
        child = target.setdefault(section, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: {'.'.join(place)} is not a section")
        target = child
    where = f"--set {override}"
    places[(*place, key)] = where
    if node is not None:
        places.update(note_places(node, where, (*place, key)))
    target[key] = None if node is None else _values(node, where)


def _explain(error: Any, places: dict[Place, str]) -> str:
    """One pydantic error as one line: where, which key, what was found, what would be right."""
    # Union members appear in the location as extra parts: keep only the section, the key and list positions.
    location = tuple(str(part) for i, part in enumerate(error["loc"]) if i < 2 or isinstance(part, int))
    place = location
    while place not in places and place:
        place = place[:-1]
    where = places.get(place) or places[()]
    key = ".".join(place if place and len(place) >= 2 else location) or "configuration"
    found = error["input"]
    kind = error["type"]
    if kind == "extra_forbidden":
        section: type[BaseModel] | None = Config
        for part in location[:-1]:
            field = section.model_fields.get(part) if section else None
            section = field.annotation if field and isinstance(field.annotation, type) else None
        known = list(section.model_fields) if section else []
        near = difflib.get_close_matches(location[-1], known, 1, 0.6)
        advice = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}"
        return f"{where}: {'.'.join(location)}: unknown key; {advice}"
    if kind == "missing":
        return f"{where}: {'.'.join(location)}: missing; the section data says which text to train on"
    if kind == "value_error":
        return f"{where}: {key}: {error['ctx']['error']}"
    message = (
        error["msg"].replace("Input should be", "must be").replace("valid ", "").replace("a integer", "an integer")
    )
    if kind.startswith(("model_", "dict_")):
        message = "must be a section of key: value lines"
    return f"{where}: {key}: found {_kind(found)}; {message}"


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return f"the list {value}"
    return "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
