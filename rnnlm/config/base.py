"""Base classes of all sections: frozen, no unknown keys, told apart by their type.

A field's range is data (``ge``, ``le``, ``Literal``) and its description is its help; the checks, the error messages,
the JSON Schema and the reference in ``docs/`` all come from them.

A value that is one of several kinds is a section with a ``type`` and the options of that type alone. Its bare name
is shorthand for the section with its defaults:

    Cell = Annotated[Elman | Lstm, Field(discriminator="type"), Shorthand()]      lstm = {type: lstm}
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic.json_schema import GetJsonSchemaHandler, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"found {str(value).lower()}; this key takes another kind of value")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("found a number beyond 64 bits; must be less than 2^63 in size")
    return value


# pydantic would take true for 1: `weight_decay: true` is a mistake. Compiled code takes no integer beyond 64 bits.
# Every number of a configuration has this last.
NOT_BOOL = BeforeValidator(_number)

Count = Annotated[int, Field(ge=1), NOT_BOOL]
NotNegativeCount = Annotated[int, Field(ge=0), NOT_BOOL]
Positive = Annotated[float, Field(gt=0), NOT_BOOL]
NotNegative = Annotated[float, Field(ge=0), NOT_BOOL]
Probability = Annotated[float, Field(ge=0, lt=1), NOT_BOOL]
Share = Annotated[float, Field(ge=0, le=1), NOT_BOOL]
# A file or folder; ~ is the home folder.
UserPath = Annotated[str, AfterValidator(os.path.expanduser)]


class Section(BaseModel):
    """A mapping of keys to values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _type_is_required(schema: dict[str, Any]) -> None:
    schema["required"] = ["type", *schema.get("required", [])]


class Typed(Section):
    """One of several sections that are told apart by their `type`, a Literal whose default is its only value."""

    model_config = ConfigDict(json_schema_extra=_type_is_required)


@dataclass(frozen=True)
class Shorthand:
    """A bare value in a section's place stands for the section in which each of `keys` has that value."""

    keys: tuple[str, ...] = ("type",)

    def spell_out(self, value: Any) -> Any:
        """The section that a bare value stands for; anything else as it is."""
        bare = isinstance(value, str if self.keys == ("type",) else int | float)
        return dict.fromkeys(self.keys, value) if bare else value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.spell_out, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        section = handler(schema)
        if "discriminator" in section:
            return {"anyOf": [{"enum": list(section["discriminator"]["mapping"])}, section]}
        own = handler.resolve_ref_schema(section)["properties"][self.keys[0]]
        return {"anyOf": [{key: value for key, value in own.items() if key not in ("title", "default")}, section]}


@dataclass(frozen=True)
class Sections:
    """The sections that a field takes.

    Attributes:
        section: the only one; None where there is none, or one for each type.
        types: those told apart by their type, by that type; empty where there are none.
        shorthand: what spells a bare value out; None where only a section will do.
    """

    section: type[Section] | None = None
    types: dict[str, type[Section]] = field(default_factory=dict)
    shorthand: Shorthand | None = None


def sections(section: type[Section] | None, key: str) -> Sections:
    """The sections that the field `key` of `section` takes."""
    found = section.model_fields.get(key) if section is not None else None
    if found is None:
        return Sections()
    members: list[type[Section]] = []
    shorthands: list[Shorthand] = []

    def look(part: Any) -> None:
        if isinstance(part, type) and issubclass(part, Section):
            members.append(part)
        elif isinstance(part, Shorthand):
            shorthands.append(part)
        for inner in get_args(part):
            look(inner)

    for part in (found.annotation, *found.metadata):
        look(part)
    shorthand = shorthands[0] if shorthands else None
    if any(issubclass(member, Typed) for member in members):
        types = {str(member.model_fields["type"].default): member for member in members}
        return Sections(types=types, shorthand=shorthand)
    return Sections(members[0] if members else None, shorthand=shorthand)
