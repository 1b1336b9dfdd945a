"""A folder that holds a run: what goes on with it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from training_runs import records, sha256

from rnnlm.errors import ConfigError, ModelError
from rnnlm.training.loop import train
from rnnlm.training.records import End


def test_an_existing_run_is_not_overwritten(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    before = sha256(config)
    with pytest.raises(ModelError, match=r"--resume goes on with it, --run DIR starts another, --restart"):
        list(train(config))
    assert sha256(config) == before


def test_a_run_of_another_configuration(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    other = config.model_copy(update={"model": config.model.model_copy(update={"hidden": 9})})
    with pytest.raises(ConfigError, match=r"model\.hidden: 8, the configuration 9"):
        list(train(other, resume=True))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"optimizer": "adam"}, r"train\.optimizer\.type: sgd, the configuration adam;"),
        (
            {"optimizer": {"type": "sgd", "weight_decay": 0.1}},
            r"train\.optimizer\.weight_decay: 0.0, the configuration 0.1;",
        ),
        ({"average": "ema"}, r"train\.average: null, the configuration {type: ema, decay: 0.999};"),
    ],
)
def test_the_option_that_differs_is_named(make_config: Any, keys: dict[str, Any], message: str) -> None:
    config = make_config(epochs=1)
    list(train(config))
    other = make_config(epochs=1, **keys).model_copy(update={"run": config.run})
    with pytest.raises(ConfigError, match=message):
        list(train(other, resume=True))


def test_what_may_differ_when_a_run_goes_on(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    changed = {
        "checkpoint": {"every_updates": 2, "every_minutes": 1},
        "log": {"every_updates": 1},
        "max_updates": 1000,
    }
    other = make_config(epochs=2, patience=None, **changed).model_copy(update={"run": config.run})
    assert records(other, End, resume=True)[0].reason == "epochs"
