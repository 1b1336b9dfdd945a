"""Writes the two tables of docs/architecture.md, packages and files, from the first sentences of the docstrings:

    python docs/make_architecture.py

A test fails when the tables are not what this writes.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

TARGET = Path(__file__).with_name("architecture.md")
PACKAGE = Path(__file__).resolve().parents[1] / "rnnlm"

# A full stop ends a sentence where a capital or code comes next: "et al. 2014" goes on.
_SENTENCE = re.compile(r"(.+?)(?:\.(?= [`A-Z])|[.:]?$)")


def page(text: str) -> str:
    """The page with its tables made anew."""
    for name, lines in (("packages", packages()), ("files", files())):
        begin, end = f"<!-- {name}: python docs/make_architecture.py -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + "\n".join(["", *lines, ""]) + "\n" + end + after
    return text


def packages() -> list[str]:
    """A row a package, and a row a file of the root."""
    root = [path for path in sorted(PACKAGE.glob("*.py")) if path.name != "__init__.py"]
    rows = [(f"`{path.parent.name}/`", path) for path in sorted(PACKAGE.glob("*/__init__.py"))]
    return _table(("package", "what it is"), rows + [(f"`{path.name}`", path) for path in root])


def files() -> list[str]:
    """A row a file of a package; a folder in it has a row before those of its files."""
    rows = []
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path)):
        place = path.relative_to(PACKAGE)
        if len(place.parts) > 1 and place.parts[1:] != ("__init__.py",):
            rows.append(
                (f"`{place.parent.as_posix()}/`" if path.name == "__init__.py" else f"`{place.as_posix()}`", path)
            )
    return _table(("file", "what it is"), rows)


def first_sentence(path: Path) -> str:
    """Of a module's docstring, without its full stop, in Markdown."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found = _SENTENCE.match(" ".join(text.split("\n\n")[0].split()))
    return "" if found is None else found[1].replace("``", "`").replace("|", "\\|")


def _table(heading: tuple[str, str], rows: list[tuple[str, Path]]) -> list[str]:
    lines = [f"| {heading[0]} | {heading[1]} |", "| --- | --- |"]
    return lines + [f"| {name} | {first_sentence(path)} |" for name, path in rows]


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
