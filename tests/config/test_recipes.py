"""The recipes that come with rnnlm."""

from __future__ import annotations

import pytest

from rnnlm.config import file as config_file
from rnnlm.config import recipes


@pytest.mark.parametrize("name", recipes.names("configs", ".yaml"))
def test_every_recipe_loads_and_says_what_it_is(name: str) -> None:
    path = recipes.folder("configs") / f"{name}.yaml"
    assert config_file.load(name) == config_file.load(path)
    assert path.read_text(encoding="utf-8").startswith("# ")
