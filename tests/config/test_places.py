"""Where the keys and list items of a YAML file stand."""

from __future__ import annotations

import pytest
import yaml

from rnnlm.config.places import note_places
from rnnlm.errors import ConfigError

TEXT = """\
a: 1
b:
  c: [x, {d: 2}]
  e: {f: 3}
"""


def test_every_key_and_list_item() -> None:
    assert note_places(yaml.compose(TEXT), "g.yaml") == {
        ("a",): "g.yaml:1:1",
        ("b",): "g.yaml:2:1",
        ("b", "c"): "g.yaml:3:3",
        ("b", "c", 0): "g.yaml:3:7",
        ("b", "c", 1): "g.yaml:3:10",
        ("b", "c", 1, "d"): "g.yaml:3:11",
        ("b", "e"): "g.yaml:4:3",
        ("b", "e", "f"): "g.yaml:4:7",
    }


def test_a_part_of_something_larger() -> None:
    assert note_places(yaml.compose("{k: 1}"), "--set x", ("s", "x")) == {("s", "x", "k"): "--set x:1:2"}
    assert note_places(yaml.compose("5"), "g.yaml") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", r"^g.yaml:2:1: a: the key stands here twice; keep one$"),
        ("b: [{c: 1, c: 2}]\n", r"^g.yaml:1:12: b.0.c: the key stands here twice; keep one$"),
        ("? [a]\n: 1\n", r"^g.yaml:1:3: a key must be a plain word$"),
    ],
)
def test_keys_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        note_places(yaml.compose(text), "g.yaml")


def test_the_same_key_in_two_mappings_is_no_duplicate() -> None:
    places = note_places(yaml.compose("a: &x {k: 1}\nb: *x\nc: [{k: 1}, {k: 2}]\n"), "g.yaml")
    assert {("a", "k"), ("b", "k"), ("c", 0, "k"), ("c", 1, "k")} <= set(places)
