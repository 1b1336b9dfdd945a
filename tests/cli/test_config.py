"""The configuration on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_config_show_and_schema(call: Any, config: Path, tmp_path: Path) -> None:
    status, out, err = call("config", "show", config, "--set", "model.cell=lstm", "--set", "train.epochs=3")
    assert (status, err) == (0, "")
    assert "cell: {type: lstm, peepholes: false, coupled_gates: false, forget_bias: 1.0}" in out
    (tmp_path / "again.yaml").write_text(out)
    assert call("config", "show", tmp_path / "again.yaml") == (0, out, "")
    status, out, err = call("config", "schema")
    assert (status, err) == (0, "")
    assert json.loads(out)["properties"]["train"]
    status, out, err = call("config", "show", config, "--set", "train.max_steps=3")
    assert (status, out) == (2, "")
    assert "train.max_steps: called train.max_updates now" in err
