"""One update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlm.errors import NotFiniteError
from rnnlm.files import model_file
from rnnlm.training.loop import train


def test_a_loss_that_is_not_finite(make_config: Any) -> None:
    config = make_config(
        optimizer="sgd", learning_rate=1e38, clip_norm=None, checkpoint={"every_updates": 1}, epochs=5
    )
    with pytest.raises(
        NotFiniteError, match=r"update \d+: not finite: .* (cell|output|embedding)\S* .*last checkpoint is"
    ):
        list(train(config))
    assert all(np.isfinite(value).all() for value in model_file.load(config.run).parameters.values())
    assert not [path for path in Path(config.run).rglob("*.tmp")]
