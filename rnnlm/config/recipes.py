"""Paths of the recipes and corpora that come with rnnlm.

``configs/`` and ``corpora/`` stand beside the package in a checkout, inside it when installed.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def folder(name: str) -> Path:
    """The folder `name` ("configs" or "corpora")."""
    inside = _PACKAGE / "share" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def names(name: str, suffix: str) -> list[str]:
    """What the folder has, without the suffix."""
    return sorted(path.name.removesuffix(suffix) for path in folder(name).glob(f"*{suffix}"))


def find(name: str, path: str | Path, suffix: str) -> Path:
    """`path` itself, or, where no such file exists and it is a bare name, the file of that name that comes with
    rnnlm."""
    given = Path(path)
    bare = str(path).removesuffix(suffix)
    ours = folder(name) / f"{bare}{suffix}"
    return ours if not given.exists() and "/" not in bare and ours.is_file() else given
