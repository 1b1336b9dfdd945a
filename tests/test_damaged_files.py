"""Damaged files of runs, each fed to a command: refused in one line or read, and never more than that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "support" / "damaged_files.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="commands run in forks")
@pytest.mark.parametrize(
    ("files", "yaml", "kinds"),
    [(40, 40, 2), pytest.param(2000, 3000, 10, marks=pytest.mark.slow)],
)
def test_no_damaged_file_does_more_than_be_refused(files: int, yaml: int, kinds: int) -> None:
    """No crash, traceback, internal error or hang."""
    arguments = ["--files", str(files), "--yaml", str(yaml), "--kinds", str(kinds)]
    paths = os.pathsep.join([str(SCRIPT.parents[2]), str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["faults"] == []
    assert found["cases"] == files + yaml
    assert found["accepted"] > 0
    assert found["refused"] > files / 4
