"""The whole configuration: what its sections ask of each other, its defaults, its JSON Schema."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from every_section import SPOTS

from rnnlm.config.base import Typed, sections
from rnnlm.config.schema import Config, json_schema


def config(**values: Any) -> Config:
    return Config.model_validate({"data": {"train": "a"}, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model": {"tie_weights": True}, "embedding": {"trainable": False}},
            "model.tie_weights needs embedding.trainable: true",
        ),
        (
            {"model": {"tie_weights": True}, "train": {"freeze": ["embedding.table"]}},
            "train.freeze: embedding would freeze U too, which model.tie_weights makes the same",
        ),
        (
            {"model": {"output": "mixture"}, "train": {"penalties": {"label_smoothing": 0.1}}},
            "train.penalties.label_smoothing goes with model.output: softmax; found model.output: mixture",
        ),
        (
            {"train": {"schedule": "plateau"}},
            "train.schedule: plateau waits for validation to stop improving; give a validation text",
        ),
        (
            {"train": {"average": "asgd"}},
            "train.average: asgd waits for validation to stop improving; give a validation text",
        ),
    ],
)
def test_what_sections_ask_of_each_other(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**values)


def test_with_a_validation_text_they_may_wait_for_it() -> None:
    keys = {"schedule": "plateau", "average": "asgd", "patience": 2}
    assert config(data={"train": "a", "valid": "b"}, train=keys).train.patience == 2
    assert config(data={"train": "a", "valid": "b"}).train.patience == 3


def test_without_one_no_patience_is_written_down() -> None:
    made = config()
    assert made.train.patience is None
    assert type(made)(**made.model_dump()) == made


def test_tied_weights_of_another_size_are_projected() -> None:
    assert config(model={"tie_weights": True, "hidden": 5}).model.tie_weights


def test_the_defaults_are_off_or_plain() -> None:
    found = config(data={"train": "a", "valid": "b"}).model_dump()
    assert found["data"] == {
        "train": "a", "valid": "b", "test": None, "text": None, "split": None, "grammar": None, "unit": "word",
        "tokenizer": "whitespace", "subwords": None, "encoding": "utf-8", "shuffle": False, "document": None,
    }  # fmt: skip
    assert found["vocab"] == {"min_count": 1, "max_size": None, "lowercase": False, "file": None}
    assert found["embedding"] == {"size": 200, "init": {"type": "uniform", "scale": 0.1}, "trainable": True}
    assert found["model"] == {
        "cell": {"type": "elman", "activation": "sigmoid"}, "hidden": 200, "layers": 1,
        "output": {"type": "softmax", "variance_regularization": 0.0}, "recurrent_init": None,
        "tie_weights": False, "layer_norm": False,
        "dropout": {
            "input": 0.0, "between": 0.0, "output": 0.0, "words": 0.0, "recurrent": 0.0, "variational": False
        },
    }  # fmt: skip
    assert found["train"] == {
        "from": None,
        "bptt": 35, "bptt_stride": None, "bptt_deviation": 0.0, "batch": 20, "accumulate": 1, "loss": "every",
        "state": "carry", "epochs": 15, "max_updates": None, "max_minutes": None, "seed": 1,
        "threads": "auto", "precision": "float32",
        "optimizer": {"type": "sgd", "weight_decay": 0.0}, "learning_rate": 1.0,
        "schedule": {"type": "constant", "warmup_updates": 0}, "clip_norm": 5.0, "clip_value": None,
        "gradient_noise": 0.0, "average": None, "freeze": [],
        "penalties": {"activation": 0.0, "temporal": 0.0, "label_smoothing": 0.0}, "patience": 3,
        "checkpoint": {"every_updates": 1000, "every_minutes": None, "keep": 0},
        "validate": {"every_updates": None}, "log": {"every_updates": 50, "to": ["jsonl"]},
        "sample": {"every_updates": None, "tokens": 40, "prompt": ""},
        "distributed": {"gradients": "float32", "every": 1},
    }  # fmt: skip


def test_the_json_schema_has_every_section_and_is_json() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["properties"]["train"]["$ref"] == "#/$defs/Train"
    assert schema["required"] == ["data"]
    text = json.dumps(schema)
    assert set(schema["$defs"]) == {spot.section.__name__ for spot in SPOTS}
    for spot in SPOTS:
        own = schema["$defs"][spot.section.__name__]
        assert f'"#/$defs/{spot.section.__name__}"' in text
        assert list(own["properties"]) == list(spot.section.model_fields)
        assert own["additionalProperties"] is False
        if issubclass(spot.section, Typed):
            assert "type" in own["required"]
            assert own["properties"]["type"]["const"] == spot.section.model_fields["type"].default


def test_the_json_schema_takes_bare_names() -> None:
    definitions = json_schema()["$defs"]
    for spot in SPOTS:
        for key in spot.section.model_fields:
            if types := sections(spot.section, key).types:
                ways = definitions[spot.section.__name__]["properties"][key]["anyOf"]
                assert ways[0] == {"enum": list(types)}
                assert len(ways[1]["oneOf"]) == len(types)
    assert definitions["Model"]["properties"]["dropout"]["anyOf"][0]["type"] == "number"
    assert definitions["Data"]["properties"]["grammar"]["anyOf"][0]["type"] == "string"


def test_reading_a_configuration_loads_nothing_heavy() -> None:
    code = (
        "import sys, rnnlm.config.schema\n"
        "print([name for name in ('numpy', 'numba', 'scipy', 'yaml', 'typer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
