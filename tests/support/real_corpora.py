"""Where the real corpora are, on a machine that has them."""

from pathlib import Path

REAL_CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
