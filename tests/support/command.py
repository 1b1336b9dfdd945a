"""The command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def rnnlm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``rnnlm ARGUMENTS`` with these variables beside those of the tests."""
    command = [sys.executable, "-m", "rnnlm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=300)
