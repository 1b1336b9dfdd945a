"""The section `embedding`."""

from __future__ import annotations

import pytest

from rnnlm import vectors
from rnnlm.config.base import sections
from rnnlm.config.embedding import Embedding, File, Skipgram, Svd


def test_the_types_are_those_of_the_registry() -> None:
    assert set(sections(Embedding, "init").types) == set(vectors.INITS)


def test_every_init_has_a_scale_or_keeps_what_the_method_gives() -> None:
    for section in sections(Embedding, "init").types.values():
        assert section.model_fields["scale"].default == 0.1
    assert Embedding.model_validate({"init": {"type": "svd", "scale": None}}).init.scale is None


def test_the_options_of_each() -> None:
    assert Svd.model_validate({"window": 3}).window == 3
    assert Skipgram().model_dump() == {"type": "skipgram", "window": 5, "negative": 5, "epochs": 5, "scale": 0.1}
    assert File(path="v.txt").path == "v.txt"


@pytest.mark.parametrize("init", [{"type": "uniform", "window": 5}, {"type": "svd", "epochs": 1}, {"type": "file"}])
def test_options_that_do_nothing_and_options_that_lack(init: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"Extra inputs are not permitted|Field required"):
        Embedding.model_validate({"init": init})
