"""The loss curve as a picture."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rnnlm.training import loss_curve


def test_the_picture(runs: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    shutil.copy(runs["word"] / "log.jsonl", tmp_path)
    path = loss_curve.draw(tmp_path)
    assert path == tmp_path / "loss.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    (tmp_path / "log.jsonl").write_text(json.dumps({"event": "end", "updates": 0}) + "\n")
    assert loss_curve.draw(tmp_path)
