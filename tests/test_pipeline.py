"""All of ``rnnlm train``, as a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small import settings, write_texts

import rnnlm
from rnnlm import pipeline
from rnnlm.corpora import cache
from rnnlm.sampling.records import Samples
from rnnlm.work import Progress, run_to_end


@pytest.mark.parametrize("last", [Progress, Samples])
def test_a_wish_to_stop_is_heard_before_and_after_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: type
) -> None:
    """Else Ctrl-C would do nothing while a large text is counted, or scored at the end."""
    monkeypatch.setattr(cache, "folder", lambda: tmp_path)  # nothing is counted yet
    write_texts(tmp_path)
    seen: list[Any] = []
    work = pipeline.run(settings(tmp_path, epochs=1), stop=lambda: bool(seen) and isinstance(seen[-1], last))
    with pytest.raises(KeyboardInterrupt):
        seen.extend(work)  # one by one
    assert isinstance(seen[-1], last)
    assert (tmp_path / "run" / "model.safetensors").exists() == (last is Samples)
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_result_of_a_run(tmp_path: Path) -> None:
    write_texts(tmp_path)
    result = run_to_end(pipeline.run(settings(tmp_path, epochs=1)))
    assert result["reason"] == "epochs"
    assert (
        result["test"]["perplexity"] == rnnlm.load(tmp_path / "run").evaluate(path=tmp_path / "test.txt").perplexity
    )
    assert len(result["samples"]) == 3
    json.dumps(result)
