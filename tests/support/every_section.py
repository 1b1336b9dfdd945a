"""Every section of the configuration, one for each type, for tests that all of them must pass."""

from __future__ import annotations

from typing import Any, NamedTuple

from rnnlm.config.base import Section, Typed, sections
from rnnlm.config.schema import Config

# What a section cannot do without.
_NEEDED: dict[str, dict[str, Any]] = {
    "data": {"train": "a", "valid": "b"},
    "data.grammar": {"type": "english"},
    "data.subwords file": {"path": "s.model"},
    "embedding.init file": {"path": "v.txt"},
    "model.output.by file": {"path": "c.txt"},
}


class Spot(NamedTuple):
    """A section and where it stands."""

    path: tuple[str, ...]
    section: type[Section]
    above: tuple[type[Section], ...] = ()  # those that it stands in, from the outermost

    def __str__(self) -> str:
        kind = f" {self.section.model_fields['type'].default}" if issubclass(self.section, Typed) else ""
        return ".".join(self.path) + kind

    @property
    def options(self) -> list[str]:
        """Its keys but for the type."""
        return [key for key in self.section.model_fields if key != "type"]

    def values(self, **given: Any) -> dict[str, Any]:
        """A configuration that has these keys in the section."""
        own = _with_type(self.section, {**_NEEDED.get(str(self), {}), **given})
        for name, above in zip(reversed(self.path), reversed(self.above), strict=True):
            own = _with_type(above, {name: own})
        if self.path == ("data", "subwords") or "subwords" in given:
            own["data"] |= {**_NEEDED["data"], "unit": "subword"}
        return own if "data" in own else {"data": _NEEDED["data"], **own}


def _with_type(section: type[Section], values: dict[str, Any]) -> dict[str, Any]:
    return {"type": section.model_fields["type"].default, **values} if issubclass(section, Typed) else values


def _below(section: type[Section], path: tuple[str, ...], above: tuple[type[Section], ...] = ()) -> list[Spot]:
    found = [Spot(path, section, above)] if path else []
    for key in section.model_fields:
        taken = sections(section, key)
        for inner in [taken.section] if taken.section else taken.types.values():
            found += _below(inner, (*path, key), (*above, section))
    return found


SPOTS = _below(Config, ())
EVERY_KEY = [(spot, key) for spot in SPOTS for key in spot.options]
EVERY_KEY_IDS = [f"{spot}.{key}" for spot, key in EVERY_KEY]
