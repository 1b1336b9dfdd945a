"""Every function is annotated, but for compiled ones: Numba takes their types from their arguments, and their
docstrings say the shapes. mypy cannot tell the two apart in a module that has both, so this test does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rnnlm"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "kernels")
COMPILED = {"jit", "parallel", "overload", "intrinsic"}


def is_compiled(function: ast.FunctionDef) -> bool:
    """Whether a decorator, with or without arguments, gives the function to Numba."""
    called = [one.func if isinstance(one, ast.Call) else one for one in function.decorator_list]
    return bool(COMPILED & {one.attr if isinstance(one, ast.Attribute) else ast.unparse(one) for one in called})


def incomplete(node: ast.AST) -> Iterator[str]:
    """The functions that lack an annotation; what stands inside of a compiled one is compiled too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            if is_compiled(child):
                continue
            own = child.args
            arguments = [*own.posonlyargs, *own.args, *own.kwonlyargs, *filter(None, (own.vararg, own.kwarg))]
            if isinstance(node, ast.ClassDef) and "staticmethod" not in map(ast.unparse, child.decorator_list):
                arguments = arguments[1:]
            if child.returns is None or any(argument.annotation is None for argument in arguments):
                yield child.name
        yield from incomplete(child)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_function_is_annotated(path: Path) -> None:
    assert list(incomplete(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f(a): pass", ["f"]),
        ("def f(a: int): pass", ["f"]),
        ("def f(a: int, *b) -> None: pass", ["f"]),
        ("class C:\n    def f(self, a: int) -> None:\n        def g(b): pass", ["g"]),
        ("@jit\ndef f(a):\n    def g(b): pass", []),
        ("@overload(h, inline='always')\ndef f(a): pass", []),
        ("@cached\ndef f(a): pass", ["f"]),
    ],
)
def test_the_walk_finds_them(code: str, found: list[str]) -> None:
    assert list(incomplete(ast.parse(code))) == found
