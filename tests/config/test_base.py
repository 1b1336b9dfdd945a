"""What every section has in common: ranges, names, types, shorthand."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import pytest
from every_section import EVERY_KEY, EVERY_KEY_IDS, SPOTS, Spot

from rnnlm.config import errors
from rnnlm.config import file as config_file
from rnnlm.config.base import Section, Shorthand, Typed, sections
from rnnlm.config.network import Dropout, Elman, Lstm, Model
from rnnlm.config.training import Train
from rnnlm.errors import ConfigError


def numbers(spot: Spot, key: str) -> list[dict[str, Any]]:
    """The numeric kinds that a key may have, as JSON Schema."""
    schema = spot.section.model_json_schema()["properties"][key]
    return [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") in ("integer", "number")]


LIMITS = [pytest.param(spot, key, kind, id=f"{spot}.{key}") for spot, key in EVERY_KEY for kind in numbers(spot, key)]
EACH_NUMBER = pytest.mark.parametrize(("spot", "key", "kind"), LIMITS)
EACH_KEY = pytest.mark.parametrize(("spot", "key"), EVERY_KEY, ids=EVERY_KEY_IDS)
EACH_SECTION = pytest.mark.parametrize("spot", SPOTS, ids=str)


def just_outside(kind: dict[str, Any]) -> list[float]:
    step = 1 if kind["type"] == "integer" else 1e-6
    outside = [kind["minimum"] - step] if "minimum" in kind else []
    outside += [kind["maximum"] + step] if "maximum" in kind else []
    return outside + [kind[name] for name in ("exclusiveMinimum", "exclusiveMaximum") if name in kind]


@EACH_NUMBER
def test_every_number_has_a_limit_and_keeps_it(spot: Spot, key: str, kind: dict[str, Any]) -> None:
    assert just_outside(kind), "no number of ours may be anything"
    place = rf"{'.'.join(spot.path)}\.{key}(\.input)?"  # dropout's number is that of its input
    for value in just_outside(kind):
        with pytest.raises(ConfigError, match=rf": {place}: found .*; must be (less|greater) than") as caught:
            config_file.validate(spot.values(**{key: value}))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [True, False])
@EACH_NUMBER
def test_true_is_not_one(spot: Spot, key: str, kind: dict[str, Any], value: bool) -> None:
    message = (
        rf"{'.'.join(spot.path)}\.{key}(\.input)?: found {str(value).lower()}; this key takes another kind of value"
    )
    with pytest.raises(ConfigError, match=message):
        config_file.validate(spot.values(**{key: value}))


@EACH_KEY
def test_a_slip_of_the_finger_in_any_key_is_named(spot: Spot, key: str) -> None:
    slip = key + "x" if len(key) < 5 else key[:2] + key[3:]
    with pytest.raises(ConfigError, match=rf"{'.'.join(spot.path)}\.{slip}: unknown key; did you mean {key}\?"):
        config_file.validate(spot.values(**{slip: 1}))


@EACH_SECTION
def test_the_keys_are_named_where_none_is_near(spot: Spot) -> None:
    with pytest.raises(ConfigError, match=rf"{'.'.join(spot.path)}\.qqq: unknown key; (?P<known>.*)") as caught:
        config_file.validate(spot.values(qqq=1))
    known = ", ".join(spot.options)
    if issubclass(spot.section, Typed):
        name = spot.section.model_fields["type"].default
        assert str(caught.value).endswith(f"; {name} has {known or 'no options'}")
    elif len(spot.options) > errors._FEW:
        assert str(caught.value).endswith(f"; rnnlm config show lists all {len(spot.options)} keys here")
    else:
        assert str(caught.value).endswith(f"; the keys here are {known}")


@EACH_SECTION
def test_every_section_and_every_key_has_a_description(spot: Spot) -> None:
    assert spot.section.__doc__
    assert all(spot.section.model_fields[key].description for key in spot.options)


@EACH_SECTION
def test_a_section_stands_with_its_defaults(spot: Spot) -> None:
    assert config_file.validate(spot.values())


@EACH_SECTION
def test_sections_do_not_change(spot: Spot) -> None:
    assert spot.section.model_config["frozen"]
    assert spot.section.model_config["extra"] == "forbid"


TYPED = [
    (spot, key) for spot in SPOTS for key in spot.section.model_fields if sections(spot.section, key).types
]  # fmt: skip


@pytest.mark.parametrize(("spot", "key"), TYPED, ids=[f"{spot}.{key}" for spot, key in TYPED])
def test_a_bare_name_is_the_section_with_its_defaults(spot: Spot, key: str) -> None:
    for name, section in sections(spot.section, key).types.items():
        if any(field.is_required() for field in section.model_fields.values()):
            with pytest.raises(ConfigError, match=rf"{key}\.path: missing; (word vectors|the class of|a model of)"):
                config_file.validate(spot.values(**{key: name}))
            continue
        bare, spelled = (config_file.validate(spot.values(**{key: value})) for value in (name, {"type": name}))
        assert bare == spelled
        found = attrgetter(".".join((*spot.path, key)))(bare)
        assert type(found) is section
        assert found == section()


@pytest.mark.parametrize(("spot", "key"), TYPED, ids=[f"{spot}.{key}" for spot, key in TYPED])
def test_other_types_are_refused_with_those_that_there_are(spot: Spot, key: str) -> None:
    names = list(sections(spot.section, key).types)
    among = f"must be {', '.join(map(repr, names[:-1]))} or {names[-1]!r}"
    place = r"\.".join((*spot.path, key))
    for value, message in (
        ("other", rf"{place}: found 'other'; {among}$"),
        ({"type": "other"}, rf"{place}: found 'other'; {among}$"),
        ({}, rf"{place}\.type: missing; {among}$"),
        ([1], rf"{place}: found the list \[1\]; {among}, or a section with a type$"),
        (True, rf"{place}: found True; {among}, or a section with a type$"),
    ):
        with pytest.raises(ConfigError, match=message):
            config_file.validate(spot.values(**{key: value}))


def test_the_sections_that_a_field_takes() -> None:
    assert sections(Model, "cell").types["lstm"] is Lstm
    assert sections(Model, "dropout").section is Dropout
    assert sections(Train, "average").shorthand == Shorthand()
    for nothing in (sections(Model, "hidden"), sections(Model, "none"), sections(None, "cell")):
        assert (nothing.section, nothing.types, nothing.shorthand) == (None, {}, None)


def test_shorthand() -> None:
    assert Shorthand().spell_out("lstm") == {"type": "lstm"}
    assert Shorthand(("a", "b")).spell_out(0.5) == {"a": 0.5, "b": 0.5}
    for other in (None, 3, [1], {"type": "x"}, Elman()):
        assert Shorthand().spell_out(other) == other
    assert issubclass(Elman, Section)
