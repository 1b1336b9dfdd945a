"""Pages of gradients: a template, its data and the script that all of them share, in one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rnnlm.files import atomic as storage

_COMMON = Path(__file__).with_name("page.js")


def write(template: Path, data: dict[str, Any], path: Path) -> None:
    """A page that needs nothing but itself: style, script and data are inside, and it may load nothing.

    Args:
        template: HTML, with {{DATA}} and {{COMMON}} where the data and the shared script belong.
    """
    page = template.read_text(encoding="utf-8").replace("{{COMMON}}\n", _COMMON.read_text(encoding="utf-8"))
    # A token may be </script>.
    told = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    storage.write_text(path, page.replace("{{DATA}}", told))
