"""A text of many word types: the docstrings of Python's standard library and of packages.

    python -m benchmarks.docstrings FOLDER [--packages NAME ...] [--texts FILE ...]

FOLDER gets train.txt, valid.txt and test.txt: a paragraph a line, none twice, every 40th module for validation and
every 40th for the test. Lines of other texts, such as the Penn Treebank's, are put before train.txt's own. What is
written depends on the versions of Python and of the packages alone.
"""

from __future__ import annotations

import argparse
import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_SHORTEST = 4  # words of a paragraph
_MODULES = 40  # one of them validates, one tests


def modules(packages: list[str]) -> Iterator[Path]:
    """Python files of the standard library, then of packages, in the order of their names."""
    library, installed = (Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib"))
    yield from sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)
    for package in packages:
        yield from sorted((installed / package).rglob("*.py"))


def paragraphs(path: Path) -> Iterator[str]:
    """The paragraphs of a module's docstrings, white space made single spaces."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):  # files that are templates or tests of parsers
        return
    for node in ast.walk(tree):
        if isinstance(node, _DEFINITIONS):
            for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                words = paragraph.split()
                if len(words) >= _SHORTEST:
                    yield " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", nargs="*", default=["numpy", "scipy", "numba", "pydantic"])
    parser.add_argument("--texts", nargs="*", default=[], type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for text in arguments.texts:
        lines["train"] += text.read_text(encoding="utf-8").splitlines()
    seen: set[str] = set()
    for i, module in enumerate(modules(arguments.packages)):
        part = {0: "valid", 1: "test"}.get(i % _MODULES, "train")
        for paragraph in paragraphs(module):
            if paragraph not in seen:
                seen.add(paragraph)
                lines[part].append(paragraph)
    for name, found in lines.items():
        (arguments.folder / f"{name}.txt").write_text("\n".join(found) + "\n", encoding="utf-8")
        print(f"{name}: {len(found):,} lines, {sum(len(line.split()) for line in found):,} words")


if __name__ == "__main__":
    main()
