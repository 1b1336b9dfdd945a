"""The schema's ranges and names, key by key; a configuration written and read again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnlm.config import file as config_file
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError

SCHEMA = Config.model_json_schema()["$defs"]
KEYS = [(section, key) for section, schema in SCHEMA.items() for key in schema["properties"]]


def numbers(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The numeric kinds that a key may have."""
    return [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") in ("integer", "number")]


LIMITS = [
    (section.lower(), key, kind)
    for section, key in KEYS
    for kind in numbers(SCHEMA[section]["properties"][key])
]  # fmt: skip


EACH_NUMBER = pytest.mark.parametrize(
    ("section", "key", "kind"), LIMITS, ids=[f"{section}.{key}" for section, key, _ in LIMITS]
)


def just_outside(kind: dict[str, Any]) -> list[float]:
    step = 1 if kind["type"] == "integer" else 1e-6
    outside = [kind["minimum"] - step] if "minimum" in kind else []
    outside += [kind["maximum"] + step] if "maximum" in kind else []
    return outside + [kind[name] for name in ("exclusiveMinimum", "exclusiveMaximum") if name in kind]


def check(section: str, key: str, value: Any) -> Config:
    data = {"data": {"train": "a"}}
    return config_file.validate({**data, section: {**data.get(section, {}), key: value}})


@EACH_NUMBER
def test_every_number_has_a_limit_and_keeps_it(section: str, key: str, kind: dict[str, Any]) -> None:
    assert just_outside(kind), "no number of ours may be anything"
    for value in just_outside(kind):
        with pytest.raises(ConfigError, match=rf": {section}.{key}: found .*; must be (less|greater) than") as caught:
            check(section, key, value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [True, False])
@EACH_NUMBER
def test_true_is_not_one(section: str, key: str, kind: dict[str, Any], value: bool) -> None:
    message = f"{section}.{key}: found {str(value).lower()}; this key takes another kind of value"
    with pytest.raises(ConfigError, match=message):
        check(section, key, value)


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_a_slip_of_the_finger_in_any_key_is_named(section: str, key: str) -> None:
    slip = key + "x" if len(key) < 5 else key[:2] + key[3:]
    with pytest.raises(ConfigError, match=rf"{section.lower()}.{slip}: unknown key; did you mean {key}\?"):
        check(section.lower(), slip, 1)


TAGGED = ["run: !!int abc\n", "run: !!float x\n", "run: !ours x\n", f"train: {{seed: {'9' * 5000}}}\n"]


@pytest.mark.parametrize("text", TAGGED)
def test_what_yaml_itself_cannot_make_sense_of(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data: {train: a}\n" + text)
    with pytest.raises(
        ConfigError, match=r"c.yaml: line 2: found the tag .*; plain words and numbers only"
    ) as caught:
        config_file.load(path)
    assert len(str(caught.value)) < 300


# What YAML 1.1 or 1.2 takes for something else than a string, and what needs care in writing.
NAMES = st.one_of(
    st.sampled_from(
        ["1e3", "08", "1_000", "1.", ".5", "no", "On", "null", "~", "0x1F", "1:30", "2001-01-01", "<<", "="]
        + ["a: b", "a #b", "- a", "é😀", " a ", "x\ny", "'", '"', "[a]", "{a}", "&a", "*a", "!a", "%a", "@a", "true"]
    ),
    st.from_regex(re.compile(r"[-+.0-9eE_:xno]{1,8}"), fullmatch=True),
    # PyYAML loses a NEL (U+0085) that it wrote itself.
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"]), min_size=1, max_size=20),
)
RATES = st.floats(0, 1e30, exclude_min=True)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    NAMES, NAMES, RATES, st.one_of(st.none(), RATES), st.one_of(st.just("auto"), st.integers(1, 1024)), st.booleans()
)
def test_a_configuration_is_read_as_it_was_written(
    tmp_path: Path, train: str, run: str, rate: float, clip: float | None, threads: Any, lowercase: bool
) -> None:
    written = config_file.validate(
        {
            "data": {"train": train},
            "vocab": {"lowercase": lowercase},
            "train": {"learning_rate": rate, "clip": clip, "threads": threads},
            "run": run,
        }
    )
    path = tmp_path / "c.yaml"
    path.write_text(config_file.dump(written), encoding="utf-8")
    assert config_file.load(path) == written
