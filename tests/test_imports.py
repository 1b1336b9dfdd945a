"""Who may import whom, by package, and who may print."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rnnlm"
FILES = sorted(PACKAGE.rglob("*.py"))

# Below all: these may be imported by everything.
BASE = {"errors", "version", "work", "user_cache", "config", "files.atomic", "files.output", "files.tensors"}
NETWORK = BASE | {"kernels", "text", "network"}
LIBRARY = NETWORK | {"vectors", "word_classes", "corpora", "files"}
MAY_IMPORT = {
    "kernels": {"errors", "user_cache"},
    "text": BASE | {"kernels"},
    "network": BASE | {"kernels", "text"},
    "ranks": {"errors", "kernels"},
    "vectors": NETWORK,
    "word_classes": NETWORK,
    "corpora": NETWORK | {"vectors"},
    "files": NETWORK,
    "training": LIBRARY | {"ranks", "sampling"},  # samples on the way
    "evaluation": LIBRARY | {"ranks"},
    "sampling": LIBRARY,
    "ngram": LIBRARY | {"evaluation"},
    "gradients": LIBRARY | {"training"},
    "interchange": LIBRARY,
    "runs": LIBRARY,
    "measure": LIBRARY | {"training", "evaluation", "sampling"},
    "console": BASE,  # and the records of all
}


def _two(parts: list[str]) -> list[str]:
    """A module's package and its own name."""
    return [parts[0], "records"] if "records" in parts else parts[:2]


def imports(tree: ast.AST) -> set[str]:
    """The modules of rnnlm that a piece of code imports, as far as two names deep."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rnnlm":
            parts = node.module.split(".")[1:]
            found |= {".".join(_two([*parts, alias.name])) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {".".join(alias.name.split(".")[1:3]) for alias in node.names if alias.name.startswith("rnnlm.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if part == "cli":
        # Commands import what they need when they run, so that --help is quick.
        tree = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        assert {name.split(".")[0] for name in imports(tree)} <= {"cli", "errors"}
    elif part in MAY_IMPORT:
        own = {name for name in imports(tree) if name.split(".")[0] != part}
        own -= {name for name in own if part == "console" and name.endswith(".records")}
        assert {name for name in own if not {name, name.split(".")[0]} & MAY_IMPORT[part]} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_console_prints(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] == "console":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Name) and node.id == "print")
        written = isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr")
        assert not written or path.parts[-2:] == ("cli", "__init__.py"), "the command line only closes what is broken"
