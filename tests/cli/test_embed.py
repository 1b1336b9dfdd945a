"""``rnnlm embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_vectors_written_by_embed_are_read_back(call: Any, config: Path) -> None:
    for unit in ("word", "char"):
        path = config.parent / f"{unit}.vec"
        assert call("embed", config, "-o", path, "--set", f"data.unit={unit}")[0] == 0
        head = path.read_text(encoding="utf-8").split("\n", 1)[0]
        assert head.endswith(" 8")
        assert call("train", config, "--restart", "--set", f"data.unit={unit}", "--set", "embedding.init=file",
                    "--set", f"embedding.init.path={path}", "--quiet")[0] == 0  # fmt: skip
