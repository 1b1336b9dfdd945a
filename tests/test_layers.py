"""Who may import whom, and who may print."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rnnlm"
FILES = sorted(path for path in PACKAGE.rglob("*.py"))

# Below everything: may be imported by all.
BASE = {"errors", "records", "resources", "config", "config_file", "storage", "yaml_places", "__version__"}
LAYERS = BASE | {
    "kernels",
    "text",
    "vectors",
    "cells",
    "outputs",
    "embedding",
    "dropout",
    "penalties",
    "normalization",
    "buffers",
    "optim",
    "schedule",
}
TRAINED = LAYERS | {"model", "stepper", "checkpoint", "scoring", "prepare", "memory"}
# What an update is made of, beside the network.
UPDATE = {"cuts", "accumulation", "noise", "averaging"}

# What each part may import of rnnlm beside itself. `cells`, `outputs`: no layer knows another.
MAY_IMPORT = {
    "kernels": set(),
    "text": BASE | {"kernels"},
    "vectors": BASE | {"kernels", "text"},
    "cells": {"kernels", "buffers", "config"},
    "outputs": {"kernels", "buffers", "config"},
    "embedding": {"kernels"},
    "penalties": {"config"},
    "normalization": {"kernels", "buffers"},
    "dropout": {"kernels", "config"},
    "buffers": {"kernels"},
    "optim": {"kernels", "config"},
    "schedule": {"config"},
    "model": LAYERS,
    "cuts": {"config"},
    "accumulation": {"optim"},
    "noise": {"config", "optim"},
    "averaging": {"kernels", "config"},
    "checkpoint": LAYERS | {"model", "averaging"},
    "stepper": LAYERS | {"model"},
    "scoring": LAYERS | {"model"},
    "memory": LAYERS | {"model"},
    "prepare": LAYERS,
    "run": TRAINED | UPDATE,
    "run_folder": TRAINED,
    "training": TRAINED | {"run", "run_folder"},
    "evaluate": TRAINED,
    "gradients": TRAINED,
    "sample": TRAINED,
    "trial": TRAINED,
    "plan": TRAINED | {"trial", "cuts"},
    "bench": TRAINED | {"trial", "sample"},
    "warmup": TRAINED | {"training"},
    "inspection": {"checkpoint"},
    "interchange": TRAINED,
    "onnx_file": TRAINED,
    "plot": {"storage"},
    "console": {"errors", "records", "plot"},
    "interrupt": set(),
    "errors": set(),
    "records": set(),
    "config": set(),
    "resources": set(),
    "yaml_places": {"errors"},
    "storage": {"errors"},
    "config_file": {"config", "errors", "resources", "yaml_places"},
}


def imports(tree: ast.AST) -> set[str]:
    """The parts of rnnlm that a piece of code imports, those inside `if TYPE_CHECKING` too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rnnlm":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {".".join(alias.name.split(".")[1:2]) for alias in node.names if alias.name.startswith("rnnlm.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if part == "cli":
        # Commands import what they need when they run, so that --help is quick.
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert imports(ast.Module(top, [])) <= {"cli", "errors"}
    elif part in MAY_IMPORT:
        assert imports(tree) - {part} <= MAY_IMPORT[part]
    else:
        assert part in ("__init__", "__main__", "api"), f"say in MAY_IMPORT what {part} may import"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_console_prints(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] == "console":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Name) and node.id == "print")
        written = isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr")
        assert not written or path.parts[-2:] == ("cli", "__init__.py"), "the command line only closes what is broken"
